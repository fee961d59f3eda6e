"""Another reader, iec62056-21 from PyPI, reads our virtual meter over a pty: readout and programming mode."""

import time
from collections.abc import Iterator

import pytest
import serial
from iec62056_21.client import Iec6205621Client
from iec62056_21.messages import CommandMessage, DataSet
from iec62056_21.transports import SerialTransport

from drivers.host import PtyMeterHost, Wiring
from drivers.optical.codec.dataset import decode_sets
from drivers.optical.codec.telegram import Identification
from drivers.optical.virtual import OPTICAL, VirtualOpticalMeter
from drivers.optical.virtual_programming import ProgrammingMode, VirtualLoadProfile
from tests.drivers.optical.meters import BERLIN, NOW

WHO = Identification("LGz", "5", "\\ZMD310AT.B")
SETS = decode_sets(b"F.F(00000000)0.0.0(12345678)1.8.0(005432.1*kWh)2.8.0(000012.0*kWh)")
PASSWORD = "12345678"
REACTION = 0.15  # longer than the peer's rest after its acknowledgement


class PtyTransport(SerialTransport):
    """The peer's own, except that a pty has no parity to be set, and that it switches as soon as it may."""

    def connect(self) -> None:
        self.port = serial.Serial(self.port_name, 300, timeout=2)

    def switch_baudrate(self, baud: int) -> None:
        self.port.baudrate = baud


@pytest.fixture
def programming() -> ProgrammingMode:
    rows = [(NOW, ("1.5",)), (NOW.replace(minute=15), ("1.6",)), (NOW.replace(minute=30), ("1.7",))]
    return ProgrammingMode(
        {one.address: str(one) for one in SETS},
        password=PASSWORD,
        load_profile=VirtualLoadProfile([("1.8.0", "kWh")], rows, BERLIN, lines_in_block=2),
    )


@pytest.fixture
def peer(programming: ProgrammingMode) -> Iterator[Iec6205621Client]:
    meter = VirtualOpticalMeter(WHO, SETS, reaction=REACTION, programming=programming)
    with PtyMeterHost(meter, OPTICAL, Wiring()) as host:
        client = Iec6205621Client(PtyTransport(host.spec, timeout=5), password=PASSWORD)
        client.connect()
        yield client
        client.disconnect()


def test_the_peer_takes_the_readout(peer: Iec6205621Client) -> None:
    answer = peer.standard_readout()
    assert (peer.manufacturer_id, peer.identification, peer.switchover_baudrate) == (
        "LGz",
        "ZMD310AT.B",
        9600,
    )
    read = {one.address: (one.value, one.unit) for one in answer.data}
    assert read["1.8.0"] == ("005432.1", "kWh")
    assert read["0.0.0"] == ("12345678", None)
    assert len(answer.data) == len(SETS)


def test_the_peer_reads_registers_in_programming_mode(
    peer: Iec6205621Client, programming: ProgrammingMode
) -> None:
    invitation = peer.access_programming_mode()
    assert (invitation.command, invitation.command_type) == ("P", 0)
    peer.transport.send(CommandMessage("P", 1, DataSet("", PASSWORD)).to_bytes())  # its own method is broken
    one = peer.read_single_value("1.8.0")
    assert (one.address, one.value, one.unit) == ("1.8.0", "005432.1", "kWh")
    peer.transport.send(CommandMessage("R", 6, DataSet("P.01", ";")).to_bytes())
    profile = peer.read_response()  # its transport acknowledges the partial blocks
    assert [one.value for one in profile.data][-3:] == ["1.5", "1.6", "1.7"]
    peer.send_break()
    deadline = time.monotonic() + 2.0
    while not programming.broken_off and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (programming.attempts, programming.broken_off) == (0, 1)
