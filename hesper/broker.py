"""The embedded MQTT broker of `hesper serve`, `hesper demo` and the tests: rumqttd, as iotcore packs it.

One process, one loopback listener that speaks MQTT 5 with shared subscriptions. It keeps sessions and queues
in memory only; what it loses when it dies is sent again by the gateways, which wait for the ingester's own
acknowledgement. Production uses Mosquitto or EMQX (`deploy/`).
"""

import argparse
import logging
import signal
import socket
from pathlib import Path

CONFIG_NAME = "broker.toml"

# Keyword arguments of iotcore open MQTT 3.1.1 on all interfaces, so it is given a whole rumqttd file.
_CONFIG = """\
id = 0

[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 500
dynamic_filters = true
"""


def render_config(port: int, host: str = "127.0.0.1") -> str:
    """The rumqttd TOML of one MQTT 5 listener without TLS or passwords: for loopback only."""
    return _CONFIG.format(host=host, port=port)


def takes_clients(address: tuple[str, int], seconds: float = 5.0) -> bool:
    """Whether the broker there answers a CONNECT (MQTT 5, 3.1); connected to is also one that hangs."""
    name = b"hesper-probe"
    content = b"\x00\x04MQTT\x05\x02\x00\x0a\x00" + len(name).to_bytes(2, "big") + name
    try:
        with socket.create_connection(address, timeout=seconds) as connection:
            connection.sendall(b"\x10" + bytes([len(content)]) + content)
            answered = connection.recv(1) == b"\x20"
            connection.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answered


def main(port: int, data_dir: Path, host: str = "127.0.0.1") -> None:
    """Serve MQTT 5 on `host:port` in this process until it is signalled; never returns otherwise.

    Writes its configuration to `data_dir`. SIGTERM and SIGINT end it at once (there is nothing to save).
    Raises OSError if the port is taken.
    """
    from iotcore import IotCoreBroker

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # the broker's loop never returns to Python's own handlers
    # rumqttd reports every packet inside error spans, so each would be a line at ERROR
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    data_dir.mkdir(parents=True, exist_ok=True)
    config = data_dir / CONFIG_NAME
    config.write_text(render_config(port, host), encoding="utf-8")
    broker = IotCoreBroker(config_path=str(config))
    broker.check_ports()
    broker.run_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m hesper.broker", description=main.__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("data_dir", type=Path)
    arguments = parser.parse_args()
    main(arguments.port, arguments.data_dir)
