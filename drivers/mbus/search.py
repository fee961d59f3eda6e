"""Who is on the line: every primary address, or the secondary addresses below a mask (EN 13757-3, 11.5).

A selection with wildcards (F in the place of a digit) is answered by every meter that matches. Silence is
nobody, one E5 with one telegram after it is one meter, and everything else is a crowd, whose mask is split at
its next digit: A to E are asked for, too, since real meters have such ids. F is the wildcard itself.

What keeps the cost low, beside asking nothing twice:
- the last digits come first, in which neighbouring meters differ;
- no SND_NKE between masks, since a selection that does not match ends the one before;
- after the E5 of a part, a second one is waited for only where that costs less than what it may spare: two
  telegrams at once. How likely they are follows from the number of answers that the whole crowd gave;
- where several crowds are to be split at the same digit, A to E are first asked for over the whole line: what
  nobody there has needs not be asked for in every crowd.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from drivers.driver import Found, Progress, Scope, SearchEvent, Suspicion, Tally
from drivers.errors import DriverError
from drivers.line import Line
from drivers.mbus.address import (
    ANY,
    ANY_DIGIT,
    ANY_MANUFACTURER,
    Secondary,
    parse_secondary,
    secondary_of,
)
from drivers.mbus.frame import ACK, FCB, REQ_UD2, SND_NKE, Ack, Address, LongFrame, ShortFrame
from drivers.mbus.header import MEDIA
from drivers.mbus.link import MEDIAN_ANSWER, STRAY, Heard, Link
from drivers.mbus.telegram import decode_header

SECONDARY = "secondary"  # in `Scope.addresses`: all secondary addresses

_ALL_PRIMARY = ("1-250",)
_PRIMARY = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
_DECIMAL, _LETTERS = "0123456789", "ABCDE"
_POSITIONS = range(7, -1, -1)
_SLOW = 1.2  # seconds: the slowest real meters, asked for where an answer came that belongs to no question

_PAIR, _MANY = 2, 21  # meters that a crowd may have

_CROWD_ADVICE = (
    "two meters may share this address (address taken): search by 'secondary', then give one of them another "
    "address; or the line is noisy: check its termination and supply"
)
_TAKEN_ADVICE = (
    "address taken: read these meters by their secondary addresses, or give one of them another primary one"
)
_REST_ADVICE = (
    "something answers here that no further digit tells apart: a meter with F among its digits, one whose "
    "maker is not met elsewhere on this line, a slow one (search with a longer timeout), or noise"
)


class _Met(Enum):
    NOBODY = "nobody"
    ONE = "one meter"
    CROWD = "a crowd"


@dataclass(frozen=True, slots=True)
class _Crowd:
    """A mask that several meters answer to; `heard`: how many bytes of answers, so about how many meters."""

    mask: Secondary
    heard: int


@dataclass(frozen=True, slots=True)
class _Reply:
    """What a question met; the telegram where it met one meter."""

    met: _Met
    frame: LongFrame | None = None
    heard: int = 0


_NOBODY = _Reply(_Met.NOBODY)


def search(line: Line, scope: Scope) -> Iterator[SearchEvent]:
    """Ask at every speed of the scope, telling what is met. Ends with the line's own settings.

    Raises LineError, and DriverError for an address that is none.
    """
    own = line.settings
    primary, masks = _parse(scope.addresses or _ALL_PRIMARY)
    try:
        for settings in scope.settings or (own,):
            if settings != own and not line.can_switch:
                advice = "set the speed in the serial server's own configuration, and search again"
                yield Suspicion("", settings, "this line cannot change its speed", advice)
                continue
            line.configure(settings)
            yield from _Search(line, scope.timeout).run(primary, masks)
    finally:
        line.configure(own)


def _parse(addresses: Iterable[str]) -> tuple[list[int], list[Secondary]]:
    """Primary addresses and masks of secondary ones. Raises DriverError."""
    primary: dict[int, None] = {}
    masks: list[Secondary] = []
    for text in addresses:
        if text == SECONDARY:
            masks.append(Secondary())
        elif span := _PRIMARY.fullmatch(text):
            first, last = int(span[1]), int(span[2] or span[1])
            if last > Address.LAST_PRIMARY:
                raise DriverError(f"{text!r}: primary addresses end at {int(Address.LAST_PRIMARY)}")
            primary |= dict.fromkeys(range(first, last + 1))
        elif mask := parse_secondary(text):
            masks.append(mask)
        else:
            raise DriverError(
                f"{text!r} is nothing that can be searched",
                advice="give primary addresses ('1-250', '5'), 'secondary', or a mask such as '0685FFFF'",
            )
    return list(primary), masks


class _Search:
    """The questions of a search at one speed. Its silences are no failures, so they are not tallied."""

    def __init__(self, line: Line, timeout: float | None) -> None:
        self._link = Link(line, Tally())
        self._settings = line.settings
        self._timeout = self._link.window() if timeout is None else timeout
        self._found: list[Secondary] = []
        self._at_primary: dict[int, Found] = {}
        self._absent: set[tuple[int, str]] = set()  # position and digit that nobody has but who was found
        self._done = self._total = 0

    def run(self, primary: Sequence[int], masks: Sequence[Secondary]) -> Iterator[SearchEvent]:
        """All that is met at these addresses and below these masks."""
        self._total = len(primary) + len(masks)
        for address in primary:
            yield self._progress(f"address {address}")
            yield from self._ask_primary(address)
        if masks:  # whoever was selected is to be free
            self._link.exchange(ShortFrame(SND_NKE, Address.SELECTED).encode(), Ack, self._timeout)
        for mask in masks:
            self._absent.clear()
            yield from self._below(mask)
        yield self._progress("the end")

    # primary addresses

    def _ask_primary(self, address: int) -> Iterator[SearchEvent]:
        """REQ_UD2; once again after a link reset where something came that is no telegram."""
        reply = self._request(address, self._timeout)
        if reply.met is _Met.CROWD:
            self._link.exchange(ShortFrame(SND_NKE, address).encode(), Ack, self._timeout)
            reply = self._request(address, self._timeout)
        if reply.frame is not None:
            yield self._describe(str(address), reply.frame)
        elif reply.met is _Met.CROWD:
            yield Suspicion(str(address), self._settings, "answers that are no telegram", _CROWD_ADVICE)

    # secondary addresses

    def _below(self, mask: Secondary) -> Iterator[SearchEvent]:
        """Level by level, so that all crowds of a level are split at the same digit."""
        crowds: list[_Crowd] = []
        yield from self._ask(mask, _MANY, crowds)
        for position in _POSITIONS:
            level = [crowd for crowd in crowds if crowd.mask.serial[position] == ANY_DIGIT]
            crowds = [crowd for crowd in crowds if crowd.mask.serial[position] != ANY_DIGIT]
            if len(level) > 1:
                yield from self._prove_absent(mask, position)
            for crowd in level:
                digits = [d for d in _DECIMAL + _LETTERS if (position, d) not in self._absent]
                parts = [_with_digit(crowd.mask, position, digit) for digit in digits]
                yield from self._split(crowd, parts, crowds)
        while crowds:
            crowd = crowds.pop(0)
            yield from self._split(crowd, self._parts(crowd.mask), crowds)

    def _split(
        self, crowd: _Crowd, parts: Sequence[Secondary], crowds: list[_Crowd]
    ) -> Iterator[SearchEvent]:
        """Ask for every part of a crowd; those that are crowds themselves are added to `crowds`."""
        self._total += len(parts)
        before = len(crowds)
        for part in parts:
            # many answers at once are one long 0, so that the whole line's number of them tells nothing
            among = _MANY if crowd.mask.serial.count(ANY_DIGIT) == 8 else crowd.heard
            yield from self._ask(part, among, crowds)
        met = 2 * (len(crowds) - before) + sum(one.matches(crowd.mask) for one in self._found)
        if met < 2:
            what = "more answers than the meters met here" if parts else "meters that nothing tells apart"
            yield Suspicion(str(crowd.mask), self._settings, what, _REST_ADVICE)

    def _ask(self, mask: Secondary, among: int, crowds: list[_Crowd]) -> Iterator[SearchEvent]:
        """Who answers to a mask, which is a part of that many meters."""
        yield self._progress(f"mask {mask}")
        reply = self._select(mask, self._timeout, among)
        if reply.frame is not None:
            yield from self._note(mask, reply.frame)
        elif reply.met is _Met.CROWD:
            crowds.append(_Crowd(mask, reply.heard))

    def _prove_absent(self, mask: Secondary, position: int) -> Iterator[SearchEvent]:
        """Which of A to E nobody has at that digit, or only a meter that this finds."""
        self._total += len(_LETTERS)
        for digit in _LETTERS:
            crowds: list[_Crowd] = []
            yield from self._ask(_with_digit(mask, position, digit), 1, crowds)
            if not crowds:
                self._absent.add((position, digit))

    def _parts(self, mask: Secondary) -> list[Secondary]:
        """The same digits: by medium, then by version, then by the makers met so far on this line."""
        if mask.medium == ANY:
            return [replace(mask, medium=medium) for medium in MEDIA]
        if mask.version == ANY:
            return [replace(mask, version=version) for version in range(ANY)]
        if mask.manufacturer == ANY_MANUFACTURER:
            makers = dict.fromkeys(one.manufacturer for one in self._found)
            return [replace(mask, manufacturer=maker) for maker in makers if maker != ANY_MANUFACTURER]
        return []

    # questions

    def _select(self, mask: Secondary, timeout: float, among: int) -> _Reply:
        """Who answers to a selection."""
        ends = self._ends(mask.selection(), timeout)
        heard = self._link.exchange(mask.selection(), Ack, timeout)
        if heard.silence:
            return _NOBODY
        perhaps_one = _is_one_ack(heard)
        worth_waiting = ends - self._link.line.now() < self._worth(among)
        late = self._listen_until(ends) if worth_waiting or not perhaps_one else b""
        if late or not perhaps_one:
            return _Reply(_Met.CROWD, heard=len(heard.data + late))
        reply = self._request(Address.SELECTED, timeout)
        if reply.met is not _Met.NOBODY:
            return reply
        # the late E5 of a meter that was asked before, or one that is as slow with its telegram
        return self._select(mask, _SLOW, among) if timeout < _SLOW else _Reply(_Met.CROWD, heard=1)

    def _worth(self, among: int) -> float:
        """Seconds that may be spent on waiting for a second E5, where one of ten digits was asked of a crowd.

        Two of n meters share the digit of one in (n - 1) of 20 cases; then their telegrams would collide.
        """
        telegrams = 1.3 * MEDIAN_ANSWER * self._settings.character_time
        return telegrams * (among - 1) / max(21 - among, 1)

    def _request(self, address: int, timeout: float) -> _Reply:
        """REQ_UD2 with FCB=1. A telegram counts only if it was alone on the wire."""
        request = ShortFrame(REQ_UD2 | FCB, address).encode()
        ends = self._ends(request, timeout)
        heard = self._link.exchange(request, LongFrame, timeout)
        if heard.silence:
            return _NOBODY
        late = self._listen_until(ends)
        if not late and isinstance(heard.frame, LongFrame) and _is_alone(heard.frame, heard):
            return _Reply(_Met.ONE, heard.frame)
        self._listen_until(ends + MEDIAN_ANSWER * self._settings.character_time)
        return _Reply(_Met.CROWD, heard=_PAIR)

    def _ends(self, request: bytes, timeout: float) -> float:
        """When the last answer to a request that is sent now will have begun."""
        return self._link.line.now() + len(request) * self._settings.character_time + timeout

    def _listen_until(self, when: float) -> bytes:
        return self._link.listen(when - self._link.line.now())

    # events

    def _note(self, mask: Secondary, frame: LongFrame) -> Iterator[SearchEvent]:
        """A meter that answered to a mask, and whether another one has its primary address."""
        own = secondary_of(frame)
        secondary = own if own and own.matches(mask) else mask
        if secondary in self._found:
            return  # a letter among its digits was asked for before
        self._found.append(secondary)
        found = self._describe(str(secondary), frame)
        yield found
        primary = frame.address
        if not 1 <= primary <= Address.LAST_PRIMARY:
            return
        other = self._at_primary.setdefault(primary, found)
        if other is not found:
            names = f"{other.meter or other.address} and {found.meter or found.address}"
            what = f"{names} share the primary address {primary}"
            yield Suspicion(str(primary), self._settings, what, _TAKEN_ADVICE)

    def _describe(self, address: str, frame: LongFrame) -> Found:
        header = decode_header(frame)
        words = [
            header.medium_name or "" if header else "",
            "encrypted" if header and header.encrypted else "",
        ]
        description = ", ".join(word for word in words if word)
        return Found(address, self._settings, header.meter if header else None, None, description)

    def _progress(self, what: str) -> Progress:
        done, self._done = self._done, self._done + 1
        return Progress(done, max(self._total, done), what)


def _with_digit(mask: Secondary, position: int, digit: str) -> Secondary:
    return replace(mask, serial=mask.serial[:position] + digit + mask.serial[position + 1 :])


def _is_one_ack(heard: Heard) -> bool:
    """One E5 and nothing after it; a few bytes in front may be a converter's."""
    data = heard.data
    return data.endswith(bytes((ACK,))) and data.count(ACK) == 1 and len(data) <= 1 + STRAY


def _is_alone(frame: LongFrame, heard: Heard) -> bool:
    """The telegram and nothing else; a few bytes in front may be a converter's, but an E5 is a meter's."""
    in_front = heard.data.removesuffix(frame.encode())
    return len(in_front) <= STRAY and ACK not in in_front
