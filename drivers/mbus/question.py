"""Question of a search: whether nobody answers, one meter, or a crowd (EN 13757-3, 11.5).

Silence is nobody, one E5 with one telegram after it is one meter, and everything else is a crowd.
"""

from dataclasses import dataclass
from enum import Enum

from drivers.mbus.address import Secondary
from drivers.mbus.codec.frame import (
    ACK,
    FCB,
    REQ_UD2,
    SND_NKE,
    LongFrame,
    PrimaryAddress,
    ShortFrame,
    SingleCharacterFrame,
)
from drivers.mbus.link import MEDIAN_ANSWER, STRAY, LinkAnswer, MBusLink

PAIR, MANY = 2, 21  # meters that a crowd may have

_SLOW = 1.2  # seconds: the slowest real meters, asked for where an answer came that belongs to no question
_BOTH_ANSWER = 1.3  # times a median telegram: what two of them at once take


class Met(Enum):
    """Number of meters that answered."""

    NOBODY = "nobody"
    ONE = "one meter"
    CROWD = "a crowd"


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """Result of a question; the telegram where it met one meter. `heard`: about how many answers."""

    met: Met
    frame: LongFrame | None = None
    heard: int = 0


_NOBODY = QuestionResult(Met.NOBODY)


class Questions:
    """Questions asked over one link at its present speed, each answered within `timeout` seconds."""

    def __init__(self, link: MBusLink, timeout: float) -> None:
        self._link = link
        self._line = link.line
        self._timeout = timeout

    def reset(self, address: int) -> None:
        """SND_NKE, whatever answers."""
        self._link.exchange(ShortFrame(SND_NKE, address).encode(), SingleCharacterFrame, self._timeout)

    def select(self, mask: Secondary, among: int, timeout: float | None = None) -> QuestionResult:
        """The result of a selection, `mask` being a part of one that about `among` meters answered to."""
        timeout = self._timeout if timeout is None else timeout
        ends = self._ends(mask.selection(), timeout)
        heard = self._link.exchange(mask.selection(), SingleCharacterFrame, timeout)
        if heard.silence:
            return _NOBODY
        perhaps_one = _is_one_ack(heard)
        worth_waiting = ends - self._line.now() < self._worth(among)
        late = self._listen_until(ends) if worth_waiting or not perhaps_one else b""
        if late or not perhaps_one:
            return QuestionResult(Met.CROWD, heard=len(heard.data + late))
        reply = self.request(PrimaryAddress.SELECTED, timeout)
        if reply.met is not Met.NOBODY:
            return reply
        # the late E5 of a meter that was asked before, or one that is as slow with its telegram
        return self.select(mask, among, _SLOW) if timeout < _SLOW else QuestionResult(Met.CROWD, heard=1)

    def _worth(self, among: int) -> float:
        """Seconds that may be spent on waiting for a second E5, where one of ten digits was asked of a crowd.

        Two of n meters share the digit of one in (n - 1) of 20 cases; then their telegrams would collide.
        """
        telegrams = _BOTH_ANSWER * MEDIAN_ANSWER * self._line.settings.character_time
        return telegrams * (among - 1) / max(MANY - among, 1)

    def request(self, address: int, timeout: float | None = None) -> QuestionResult:
        """REQ_UD2 with FCB=1. A telegram counts only if it was alone on the wire."""
        timeout = self._timeout if timeout is None else timeout
        request = ShortFrame(REQ_UD2 | FCB, address).encode()
        ends = self._ends(request, timeout)
        heard = self._link.exchange(request, LongFrame, timeout)
        if heard.silence:
            return _NOBODY
        late = self._listen_until(ends)
        frame = heard.frame
        if not late and isinstance(frame, LongFrame) and frame.is_answer and _is_alone(frame, heard):
            return QuestionResult(Met.ONE, frame)
        self._listen_until(ends + MEDIAN_ANSWER * self._line.settings.character_time)
        return QuestionResult(Met.CROWD, heard=PAIR)

    def _ends(self, request: bytes, timeout: float) -> float:
        """When the last answer to a request that is sent now will have begun."""
        return self._line.now() + len(request) * self._line.settings.character_time + timeout

    def _listen_until(self, when: float) -> bytes:
        return self._link.listen(when - self._line.now())


def _is_one_ack(heard: LinkAnswer) -> bool:
    """One E5 and nothing after it; a few bytes in front may be a converter's."""
    data = heard.data
    return data.endswith(bytes((ACK,))) and data.count(ACK) == 1 and len(data) <= 1 + STRAY


def _is_alone(frame: LongFrame, heard: LinkAnswer) -> bool:
    """The telegram and nothing else; a few bytes in front may be a converter's, but an E5 is a meter's."""
    in_front = heard.data.removesuffix(frame.encode())
    return len(in_front) <= STRAY and ACK not in in_front
