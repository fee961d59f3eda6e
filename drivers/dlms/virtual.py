"""A virtual DLMS meter: the server's end of an HDLC link, with a COSEM server behind it."""

from collections.abc import Callable
from dataclasses import replace

from drivers.dlms.codec.hdlc import Frame, HdlcAddress, HdlcControl, HdlcFrameReader, HdlcParameters
from drivers.dlms.link import COMMAND, RESPONSE
from drivers.dlms.server import DlmsServer, Objects, ServerAccess
from drivers.errors import DecodeError
from drivers.line import SerialSettings, Transmission

DIRECT = SerialSettings(9600, 8, "N", 1)
_TITLE = b"VRT\0\0\0\0\x01"
_LOGICAL_DEVICE = HdlcAddress(1)  # the management logical device
_DEFAULTS = HdlcParameters()
_OPEN = ServerAccess()


class VirtualDlmsMeter:
    """Answers at one address and speed. `objects` are attributes with their content, or functions for it.

    `parameters` are the frame sizes it agrees to; `longest` its longest APDU, above which answers come in
    blocks. `reaction` in seconds. `random` makes its challenges: zeros unless given, since it guards nothing.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        address: HdlcAddress = _LOGICAL_DEVICE,
        access: ServerAccess = _OPEN,
        settings: SerialSettings = DIRECT,
        parameters: HdlcParameters = _DEFAULTS,
        longest: int = 0xFFFF,
        title: bytes = _TITLE,
        random: Callable[[int], bytes] = bytes,
        reaction: float = 0.02,
    ) -> None:
        self.address = address
        self.settings = settings
        self.parameters = parameters
        self.reaction = reaction
        self.server = DlmsServer(objects, access, title, random, longest=longest)
        self._reader = HdlcFrameReader()
        self._connection: _Connection | None = None

    def hear(self, data: bytes, settings: SerialSettings) -> list[Transmission]:
        """See `VirtualMeter`. Only the speed is compared: not every host knows the character frame."""
        if settings.baud != self.settings.baud:
            self._reader = HdlcFrameReader()
            return []
        alone = HdlcFrameReader()
        alone.add(data)
        if alone.next():
            self._reader = HdlcFrameReader()  # a whole frame ends what broke off before
        self._reader.add(data)
        said = []
        while frame := self._reader.next():
            if self._is_mine(frame.destination) and (answer := self._answer(frame)) is not None:
                said.append(Transmission(answer.encode(), self.reaction, settings))
        return said

    def _is_mine(self, address: HdlcAddress) -> bool:
        return address.upper == self.address.upper and (
            None in (address.lower, self.address.lower) or address.lower == self.address.lower
        )

    def _answer(self, frame: Frame) -> Frame | None:
        connection = self._connection
        if frame.kind is HdlcControl.SET_NORMAL_RESPONSE_MODE:
            return self._connect(frame)
        if connection is None or connection.client != frame.source:
            return Frame(frame.source, frame.destination, HdlcControl.DISCONNECTED_MODE)
        if frame.kind is HdlcControl.DISCONNECT:
            self._connection = None
            # with the parameters once more, since some clients (dlms-cosem) read no UA without any
            told = connection.agreed.encode()
            return Frame(frame.source, frame.destination, HdlcControl.UNNUMBERED_ACKNOWLEDGE, told)
        return connection.answer(frame)

    def _connect(self, frame: Frame) -> Frame:
        try:
            agreed = self.parameters.agreed(HdlcParameters.decode(frame.information))
        except DecodeError:
            return Frame(frame.source, frame.destination, HdlcControl.FRAME_REJECT)
        self.server.reset()
        self._connection = _Connection(frame.destination, frame.source, agreed, self.server)
        return Frame(frame.source, frame.destination, HdlcControl.UNNUMBERED_ACKNOWLEDGE, agreed.encode())


class _Connection:
    """The numbered exchange with one client, a frame at a time."""

    def __init__(
        self, own: HdlcAddress, client: HdlcAddress, agreed: HdlcParameters, server: DlmsServer
    ) -> None:
        self.own = own
        self.client = client
        self.agreed = agreed
        self.server = server
        self._send = self._receive = 0  # V(S), V(R)
        self._heard = b""
        self._pieces: list[bytes] = []  # of the answer, the first one being on its way
        self._on_its_way: Frame | None = None

    def answer(self, frame: Frame) -> Frame | None:
        if frame.kind not in (HdlcControl.INFORMATION, HdlcControl.RECEIVE_READY):
            return None
        if self._on_its_way and frame.receive == (self._on_its_way.send + 1) % 8:
            self._on_its_way = None
        if frame.kind is HdlcControl.INFORMATION and frame.send == self._receive:
            self._receive = (self._receive + 1) % 8
            self._pieces = []
            self._heard += frame.information
            if frame.segmented:
                return self._ready()
            self._take_in()
        if self._on_its_way:  # it was lost
            return replace(self._on_its_way, receive=self._receive)
        return self._next_piece() if self._pieces else self._ready()

    def _take_in(self) -> None:
        heard, self._heard = self._heard, b""
        if heard.startswith(COMMAND):
            said = RESPONSE + self.server.handle(heard.removeprefix(COMMAND))
            size = self.agreed.transmit
            self._pieces = [said[first : first + size] for first in range(0, len(said), size)]

    def _next_piece(self) -> Frame:
        piece, *self._pieces = self._pieces
        frame = Frame(
            self.client,
            self.own,
            HdlcControl.INFORMATION,
            piece,
            self._send,
            self._receive,
            segmented=bool(self._pieces),
        )
        self._send = (self._send + 1) % 8
        self._on_its_way = frame
        return frame

    def _ready(self) -> Frame:
        return Frame(self.client, self.own, HdlcControl.RECEIVE_READY, receive=self._receive)
