"""Search of a line: every primary address, or the secondary addresses below a mask (EN 13757-3, 11.5).

A selection with wildcards (F in the place of a digit) is answered by every meter that matches. A mask that a
crowd answers to is split at its next digit: A to E are asked for, too, since real meters have such ids. F is
the wildcard itself. Of meters with the same digits medium, version and maker are asked.

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

from drivers.driver import Found, SearchEvent, SearchProgress, SearchScope, Suspicion, Tally
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
from drivers.mbus.codec.frame import LongFrame, PrimaryAddress
from drivers.mbus.codec.header import MEDIA, manufacturer_code
from drivers.mbus.codec.telegram import decode_header
from drivers.mbus.link import MBusLink
from drivers.mbus.question import MANY, Met, Questions

SECONDARY = "secondary"  # in `SearchScope.addresses`: all secondary addresses

_ALL_PRIMARY = ("1-250",)
_PRIMARY = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
_DECIMAL, _LETTERS = "0123456789", "ABCDE"
_POSITIONS = range(7, -1, -1)

# Asked for where two meters have the same digits, medium and version, after the makers met on the line: those
# of the real telegrams that libmbus is tested with
_COMMON_MAKERS = (
    "ABB ACW AMT EFE ELS ELV EMH FIN GMC GWF HYD KAM LSE LUG NZR PAD REL SBC SEN SLB SPX SVM TCH ZRM"
)

_CROWD_ADVICE = (
    "two meters may share this address (address taken): search by 'secondary', then give one of them another "
    "address; or the line is noisy: check its termination and supply"
)
_NOISE_ADVICE = (
    "the line is noisy, or its speed or parity is another one: check its termination, its supply and the "
    "converter, or search at several speeds"
)
_FOREIGN_ADVICE = "its answers cannot be told from another meter's: read it by its secondary address"
_TAKEN_ADVICE = (
    "address taken: read these meters by their secondary addresses, or give one of them another primary one"
)
_REST_ADVICE = (
    "something answers here that nothing more tells apart: a meter with F among its digits, one of a rare "
    "maker or medium, a slow one (search with a longer timeout), or noise"
)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """A mask that several meters answer to; `heard`: how many bytes of answers, so about how many meters."""

    mask: Secondary
    heard: int


@dataclass(slots=True)
class _Steps:
    """How far a search has come, at all its speeds together."""

    total: int
    done: int = 0

    def next(self, what: str) -> SearchProgress:
        """Before the next question."""
        done, self.done = self.done, self.done + 1
        return SearchProgress(done, max(self.total, done), what)


def search(line: Line, scope: SearchScope) -> Iterator[SearchEvent]:
    """Ask at every speed of the scope, telling what is met. Ends with the line's own settings.

    Raises LineError, and DriverError for an address that is none.
    """
    own = line.settings
    primary, masks = _parse(scope.addresses or _ALL_PRIMARY)
    speeds = scope.settings or (own,)
    steps = _Steps(len(speeds) * (len(primary) + len(masks)))
    try:
        for settings in speeds:
            if settings != own and not line.can_switch:
                advice = "set the speed in the serial server's own configuration, and search again"
                yield Suspicion("", settings, "this line cannot change its speed", advice)
                continue
            line.configure(settings)
            yield from _Search(line, scope.timeout, steps).run(primary, masks)
        yield steps.next("the end")
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
            if last > PrimaryAddress.LAST_PRIMARY:
                raise DriverError(f"{text!r}: primary addresses end at {int(PrimaryAddress.LAST_PRIMARY)}")
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
    """A search at one speed. Its silences are no failures of meters, so they are not tallied."""

    def __init__(self, line: Line, timeout: float | None, steps: _Steps) -> None:
        link = MBusLink(line, Tally())
        self._questions = Questions(link, link.window() if timeout is None else timeout)
        self._settings = line.settings
        self._found: list[Secondary] = []
        self._at_primary: dict[int, Found] = {}
        self._absent: set[tuple[int, str]] = set()  # position and digit that nobody has but who was found
        self._steps = steps

    def run(self, primary: Sequence[int], masks: Sequence[Secondary]) -> Iterator[SearchEvent]:
        """All that is met at these addresses and below these masks."""
        for address in primary:
            yield self._steps.next(f"address {address} at {self._settings}")
            yield from self._ask_primary(address)
        if masks:  # whoever was selected is to be free
            self._questions.reset(PrimaryAddress.SELECTED)
        for mask in masks:
            self._absent.clear()
            yield from self._below(mask)

    # primary addresses

    def _ask_primary(self, address: int) -> Iterator[SearchEvent]:
        """REQ_UD2; once again after a link reset where something came that is no telegram."""
        reply = self._questions.request(address)
        if reply.met is Met.CROWD:
            self._questions.reset(address)
            reply = self._questions.request(address)
        if reply.frame is not None and reply.frame.address != address:
            what = f"a meter that calls itself {reply.frame.address}"
            yield Suspicion(str(address), self._settings, what, _FOREIGN_ADVICE)
        elif reply.frame is not None:
            yield self._describe(str(address), reply.frame)
        elif reply.met is Met.CROWD:
            yield Suspicion(str(address), self._settings, "answers that are no telegram", _CROWD_ADVICE)

    # secondary addresses

    def _below(self, mask: Secondary) -> Iterator[SearchEvent]:
        """Level by level, so that all crowds of a level are split at the same digit."""
        crowds: list[_Crowd] = []
        yield from self._ask(mask, MANY, crowds)
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
        """Ask for every part of a crowd; those that are crowds themselves are added to `crowds`.

        Where all of them are, A to E included, it is the line that answers and not its meters.
        """
        self._steps.total += len(parts)
        before = len(crowds)
        for part in parts:
            # many answers at once are one long 0, so that the whole line's number of them tells nothing
            among = MANY if crowd.mask.serial.count(ANY_DIGIT) == 8 else crowd.heard
            yield from self._ask(part, among, crowds)
        if len(crowds) - before == len(parts) >= len(_DECIMAL + _LETTERS):
            del crowds[before:]
            yield Suspicion(str(crowd.mask), self._settings, "noise on every question", _NOISE_ADVICE)
            return
        met = 2 * (len(crowds) - before) + sum(one.matches(crowd.mask) for one in self._found)
        if met < 2:
            what = "more answers than the meters met here" if parts else "meters that nothing tells apart"
            yield Suspicion(str(crowd.mask), self._settings, what, _REST_ADVICE)

    def _ask(self, mask: Secondary, among: int, crowds: list[_Crowd]) -> Iterator[SearchEvent]:
        """Who answers to a mask, which is a part of that many meters."""
        yield self._steps.next(f"mask {mask} at {self._settings}")
        reply = self._questions.select(mask, among)
        if reply.frame is not None:
            yield from self._note(mask, reply.frame)
        elif reply.met is Met.CROWD:
            crowds.append(_Crowd(mask, reply.heard))

    def _prove_absent(self, mask: Secondary, position: int) -> Iterator[SearchEvent]:
        """Which of A to E nobody has at that digit, or only a meter that this finds."""
        self._steps.total += len(_LETTERS)
        for digit in _LETTERS:
            crowds: list[_Crowd] = []
            yield from self._ask(_with_digit(mask, position, digit), 1, crowds)
            if not crowds:
                self._absent.add((position, digit))

    def _parts(self, mask: Secondary) -> list[Secondary]:
        """The same digits: by medium, then by version, then by maker."""
        if mask.medium == ANY:
            return [replace(mask, medium=medium) for medium in MEDIA]
        if mask.version == ANY:
            return [replace(mask, version=version) for version in range(ANY)]
        if mask.manufacturer == ANY_MANUFACTURER:
            met = [one.manufacturer for one in self._found if one.manufacturer != ANY_MANUFACTURER]
            makers = dict.fromkeys([*met, *map(manufacturer_code, _COMMON_MAKERS.split())])
            return [replace(mask, manufacturer=maker) for maker in makers]
        return []

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
        if not 1 <= primary <= PrimaryAddress.LAST_PRIMARY:
            return
        other = self._at_primary.setdefault(primary, found)
        if other is not found:
            names = f"{other.meter or other.address} and {found.meter or found.address}"
            what = f"{names} share the primary address {primary}"
            yield Suspicion(str(primary), self._settings, what, _TAKEN_ADVICE)

    def _describe(self, address: str, frame: LongFrame) -> Found:
        header = decode_header(frame)
        if header is None:
            return Found(address, self._settings)
        words = [header.medium_name or ""] + ["encrypted"] * header.encrypted
        return Found(address, self._settings, header.meter, None, ", ".join(filter(None, words)))


def _with_digit(mask: Secondary, position: int, digit: str) -> Secondary:
    return replace(mask, serial=mask.serial[:position] + digit + mask.serial[position + 1 :])
