"""Gateways in one process: sends ready messages of readings and waits for the ingesters' acknowledgements.

    python -m bench.gateways PORT FIRST MESSAGES METERS REGISTERS RAW WINDOW

Prints `ready` when all messages are encoded and the broker listens; begins at a line on stdin, and prints
the seconds until the last acknowledgement as JSON. What is not acknowledged in time is sent again.
"""

import json
import random
import sys
import threading
import time
from dataclasses import dataclass

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from telemetry.topics import Kind, Topic, subscription
from telemetry.wire import Ack, Batch, WireReadout, decode, encode

UTILITY = "bench"
GATEWAYS = 4
START = 1_772_452_800_000  # 2026-03-02T12:00:00Z, milliseconds
QUARTER_HOUR = 900_000
RESEND_SECONDS = 30.0
CODES = (
    "8-0:1.0.0",
    "8-0:2.0.0",
    "8-0:3.0.0",
    "8-1:1.0.0",
    "8-1:2.0.0",
    "8-1:3.0.0",
    "8-2:1.0.0",
    "8-3:1.0.0",
)


@dataclass(frozen=True, slots=True)
class Load:
    """`messages` of `meters` readouts with `registers` values each, from message number `first` on.

    `raw` is the size of each telegram in bytes. Message n is that of gateway n % 4, and the gateway's
    instant n // 4, so the readings of message n are the same whenever they are asked for.
    """

    first: int
    messages: int
    meters: int
    registers: int
    raw: int

    @property
    def readings(self) -> int:
        """In all messages together."""
        return self.messages * self.meters * self.registers

    def meter(self, gateway: int, number: int) -> str:
        """The id of a gateway's meter."""
        return f"KAM-{gateway * self.meters + number:08}"

    def batch(self, number: int) -> Batch:
        """Message `number`, from 0."""
        gateway, turn = number % GATEWAYS, number // GATEWAYS
        noise = random.Random(number)
        readouts = [
            WireReadout(
                self.meter(gateway, meter),
                START + turn * QUARTER_HOUR,
                {
                    code: meter + (turn * 7 + place) / 1000
                    for place, code in enumerate(CODES[: self.registers])
                },
                raw=noise.randbytes(self.raw),
            )
            for meter in range(self.meters)
        ]
        return Batch("bench", turn + 1, START, readouts)


class Gateways:
    """Keeps `window` messages on their way until all are acknowledged."""

    def __init__(self, port: int, load: Load, window: int) -> None:
        self._waiting: dict[tuple[str, int], tuple[str, bytes]] = {}
        for number in range(load.first, load.first + load.messages):
            gateway, batch = f"g{number % GATEWAYS}", load.batch(number)
            topic = str(Topic(UTILITY, gateway, Kind.READINGS))
            self._waiting[gateway, batch.batch] = (topic, encode(batch))
        self._unsent = list(self._waiting)[::-1]
        self._sent: dict[tuple[str, int], float] = {}
        self._window = window
        self._changed = threading.Condition()
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, client_id="bench-gateways", protocol=MQTTProtocolVersion.MQTTv5
        )
        client.max_inflight_messages_set(10_000)
        client.on_message = self._on_message
        subscribed = threading.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.subscribe(subscription(Kind.ACK), 1)
        assert subscribed.wait(10)

    def run(self) -> float:
        """Seconds from the first message to the last acknowledgement."""
        begun = time.monotonic()
        with self._changed:
            while self._waiting:
                now = time.monotonic()
                late = [key for key, at in self._sent.items() if now - at > RESEND_SECONDS]
                fresh = [self._unsent.pop() for _ in range(self._window - len(self._sent)) if self._unsent]
                for key in late + fresh:
                    self._client.publish(*self._waiting[key], 1)
                    self._sent[key] = now
                self._changed.wait(1.0)
        return time.monotonic() - begun

    def _on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        gateway = Topic.parse(message.topic).gateway
        with self._changed:
            for batch in decode(bytes(message.payload), Ack).batches:
                self._waiting.pop((gateway, batch), None)
                self._sent.pop((gateway, batch), None)
            self._changed.notify()


def main() -> None:
    port, *figures, window = map(int, sys.argv[1:])
    gateways = Gateways(port, Load(*figures), window)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps({"seconds": gateways.run()}), flush=True)


if __name__ == "__main__":
    main()
