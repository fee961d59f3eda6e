"""Lines against a meter that says back what it hears, over a pty, over TCP and on the virtual clock."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from drivers.bus import VirtualBus, garbled
from drivers.catalogue import open_line
from drivers.errors import LineError
from drivers.host import PtyMeterHost, TcpMeterHost, Wiring
from drivers.line import Line, SerialSettings, Transmission
from drivers.simulated import SimulatedLine
from drivers.tcp_line import TcpLine

FAST = SerialSettings(115200)
SLOW = SerialSettings(300, 7, "E", 1)


@dataclass
class Parrot:
    """Says back what it heard; `heard` keeps the bytes with the settings they came at."""

    delay: float = 0.0
    settings: SerialSettings | None = None
    heard: list[tuple[bytes, SerialSettings]] = field(default_factory=list)

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        self.heard.append((data, settings))
        return [Transmission(data, self.delay, self.settings)]


HOSTS = {"pty": PtyMeterHost, "tcp": TcpMeterHost}


def receive_all(line: Line, size: int) -> bytes:
    """Bytes until there are `size` of them, or silence."""
    received = b""
    while len(received) < size and (data := line.receive(2.0)):
        received += data
    return received


@pytest.fixture(params=HOSTS)
def host_kind(request: pytest.FixtureRequest) -> type[PtyMeterHost] | type[TcpMeterHost]:
    return HOSTS[request.param]


@pytest.fixture
def parrot_line(host_kind: type[PtyMeterHost]) -> Iterator[Line]:
    with host_kind(Parrot(), FAST) as host:
        line = open_line(host.spec, FAST)
        yield line
        line.close()


def test_bytes_go_out_and_come_back(parrot_line: Line) -> None:
    everything = bytes(range(256))
    parrot_line.send(everything)
    assert receive_all(parrot_line, 256) == everything


def test_silence_is_empty_after_the_timeout(parrot_line: Line) -> None:
    begun = parrot_line.now()
    assert parrot_line.receive(0.05) == b""
    assert parrot_line.now() - begun >= 0.045


def test_send_returns_when_the_last_bit_has_left(parrot_line: Line) -> None:
    parrot_line.configure(SLOW)
    begun = parrot_line.now()
    parrot_line.send(b"\x55" * 3)
    assert parrot_line.now() - begun >= 3 * SLOW.character_time


def test_discard_forgets_what_has_arrived(parrot_line: Line) -> None:
    parrot_line.send(b"old")
    parrot_line.wait(0.1)
    parrot_line.discard()
    assert parrot_line.receive(0.02) == b""


def test_a_closed_line_opens_again_with_the_next_send(parrot_line: Line) -> None:
    parrot_line.send(b"one")
    assert receive_all(parrot_line, 3) == b"one"
    parrot_line.close()
    parrot_line.close()
    parrot_line.send(b"two")
    assert receive_all(parrot_line, 3) == b"two"


def test_the_host_keeps_the_meters_delay_in_real_time(host_kind: type[PtyMeterHost]) -> None:
    with host_kind(Parrot(delay=0.2), FAST) as host:
        line = open_line(host.spec, FAST)
        line.send(b"x")
        begun = line.now()
        assert line.receive(1.0) == b"x"
        assert line.now() - begun >= 0.15
        line.close()


def test_awkward_wiring_echoes_splits_and_adds_stray_bytes(host_kind: type[PtyMeterHost]) -> None:
    wiring = Wiring(time_scale=0.0, piece=2, echo=True, stray=b"\xff")
    with host_kind(Parrot(delay=9.0), FAST, wiring) as host:
        line = open_line(host.spec, FAST)
        line.send(b"abcd")
        assert receive_all(line, 9) == b"abcd\xffabcd"
        line.close()


def test_stopping_a_host_interrupts_a_slow_meter(host_kind: type[PtyMeterHost]) -> None:
    host = host_kind(Parrot(delay=60.0), FAST)
    host.start()
    line = open_line(host.spec, FAST)
    line.send(b"x")
    line.receive(0.05)
    begun = time.monotonic()
    host.stop()
    host.stop()
    assert time.monotonic() - begun < 5
    line.close()


def test_a_pty_master_changes_the_speed_that_the_meter_hears() -> None:
    parrot = Parrot()
    with PtyMeterHost(parrot, SLOW) as host:
        line = open_line(host.spec, SLOW)
        line.send(b"a")
        assert line.receive(1.0) == b"a"
        line.configure(SerialSettings(9600, 7, "E", 1))
        line.send(b"b")
        assert line.receive(1.0) == b"b"
        line.close()
    assert [settings.baud for _, settings in parrot.heard] == [300, 9600]


def test_an_answer_at_another_speed_arrives_garbled(host_kind: type[PtyMeterHost]) -> None:
    with host_kind(Parrot(settings=SLOW), FAST) as host:
        line = open_line(host.spec, FAST)
        line.send(b"abc")
        assert receive_all(line, 3) == garbled(b"abc")
        line.close()


def test_a_serial_port_that_is_in_use_says_who_to_look_for() -> None:
    with PtyMeterHost(Parrot(), FAST) as host:
        first, second = open_line(host.spec, FAST), open_line(host.spec, FAST)
        first.send(b"x")
        with pytest.raises(LineError) as caught:
            second.send(b"x")
        assert "fuser" in caught.value.advice
        first.close()


def test_a_missing_serial_port_says_what_to_check() -> None:
    with pytest.raises(LineError, match="No such file") as caught:
        open_line("/dev/serial/by-id/nothing-here", FAST).send(b"x")
    assert "plugged in" in caught.value.advice


def test_a_refused_connection_says_what_to_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LineError) as caught:
        open_line(f"tcp://127.0.0.1:{port}", FAST).send(b"x")
    assert "nothing listens" in caught.value.advice


def test_a_connection_that_the_peer_ends_is_a_line_error_and_not_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = open_line(f"tcp://127.0.0.1:{server.getsockname()[1]}", FAST)
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(server.accept()[0]))
        thread.start()
        line.send(b"x")
        thread.join()
        accepted[0].recv(1)
        accepted[0].close()
        with pytest.raises(LineError, match="closed the connection"):
            line.receive(2.0)


def test_a_connection_lost_while_idle_is_made_anew_by_the_next_send() -> None:
    first = TcpMeterHost(Parrot(), FAST)
    first.start()
    line = TcpLine("127.0.0.1", first.port, FAST)
    line.send(b"one")
    assert receive_all(line, 3) == b"one"
    first.stop()
    with TcpMeterHost(Parrot(), FAST, port=first.port):
        line.send(b"two")
        assert receive_all(line, 3) == b"two"
        line.close()


def test_a_tcp_host_serves_many_clients_in_turn() -> None:
    with TcpMeterHost(Parrot(), FAST) as host:
        for word in (b"one", b"two", b"three"):
            line = open_line(host.spec, FAST)
            line.send(word)
            assert receive_all(line, len(word)) == word
            line.close()


@pytest.mark.parametrize("spec", ["", "ttyUSB0", "tcp://", "tcp://host", "tcp://host:99999", "udp://host:1"])
def test_a_text_that_names_no_line_is_refused_with_a_remedy(spec: str) -> None:
    with pytest.raises(LineError) as caught:
        open_line(spec, FAST)
    assert "tcp://host:port" in caught.value.advice


def test_an_ipv6_serial_server_is_a_line() -> None:
    assert open_line("tcp://[::1]:4001", FAST).name == "tcp://[::1]:4001"


def test_simulated_wire_time_is_exact() -> None:
    settings = SerialSettings(2400, 8, "E", 1)
    line = SimulatedLine(Parrot(delay=0.1), settings)
    line.send(b"12345")
    assert line.now() == pytest.approx(5 * 11 / 2400)
    assert line.receive(1.0) == b"12345"
    assert line.now() == pytest.approx(10 * 11 / 2400 + 0.1)


def test_simulated_receive_never_passes_its_deadline() -> None:
    settings = SerialSettings(300)
    line = SimulatedLine(Parrot(), settings)
    line.send(b"abc")
    sent = line.now()
    assert line.receive(1.5 * settings.character_time) == b"a"
    assert line.now() == pytest.approx(sent + 1.5 * settings.character_time)
    assert line.receive(0.0) == b""
    assert line.receive(9.0) == b"bc"
    assert line.receive(9.0) == b""
    assert line.now() == pytest.approx(sent + 3 * settings.character_time + 9.0)


def test_simulated_discard_keeps_what_is_still_on_its_way() -> None:
    settings = SerialSettings(300)
    line = SimulatedLine(Parrot(), settings)
    line.send(b"abc")
    line.wait(1.5 * settings.character_time)
    line.discard()
    assert line.receive(1.0) == b"bc"


def test_simulated_answer_at_another_speed_is_garbled_and_takes_its_own_time() -> None:
    line = SimulatedLine(Parrot(settings=SLOW), FAST)
    line.send(b"abc")
    sent = line.now()
    assert line.receive(1.0) == garbled(b"abc")
    assert line.now() - sent == pytest.approx(3 * SLOW.character_time)


def test_meters_that_speak_at_once_collide_and_equal_answers_survive() -> None:
    @dataclass
    class Sayer:
        word: bytes

        def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
            return [Transmission(self.word)] if self.word else []

    def said(*words: bytes) -> list[bytes]:
        return [one.data for one in VirtualBus(map(Sayer, words)).hear(b"?", FAST)]

    assert said(b"\xe5", b"\xe5") == [b"\xe5"]
    assert said(b"\x0f\x01", b"\xf3") == [b"\x03\x01"]
    assert said(b"", b"only") == [b"only"]
    assert said(b"", b"") == []


def test_an_unplugged_converter_is_a_line_error_whatever_the_line_does_next() -> None:
    def plugged_in() -> tuple[PtyMeterHost, Line]:
        host = PtyMeterHost(Parrot(), FAST)
        host.start()
        line = open_line(host.spec, FAST)
        line.send(b"x")
        assert line.receive(1.0) == b"x"
        return host, line

    for act in (
        lambda line: line.send(b"x"),
        lambda line: line.receive(1.0),
        lambda line: line.configure(SLOW),
    ):
        host, line = plugged_in()
        host.stop()
        with pytest.raises(LineError):
            act(line)


def test_a_line_that_was_never_opened_is_configured_and_discarded_without_opening_it() -> None:
    for spec in ("/dev/serial/by-id/nothing-here", "tcp://127.0.0.1:1"):
        line = open_line(spec, FAST)
        line.discard()
        line.configure(SLOW)
        assert line.settings == SLOW


def test_discard_notices_that_the_peer_has_left() -> None:
    host = TcpMeterHost(Parrot(), FAST)
    host.start()
    line = open_line(host.spec, FAST)
    line.send(b"one")
    assert receive_all(line, 3) == b"one"
    host.stop()
    line.discard()
    with pytest.raises(LineError, match="connect"):
        line.send(b"two")


def test_simulated_close_forgets_what_is_on_its_way() -> None:
    line = SimulatedLine(Parrot(delay=0.5), FAST)
    line.send(b"abc")
    line.close()
    assert line.receive(1.0) == b""
