"""Proposal of a gateway's configuration from a scan, to be checked, completed and run."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from drivers.driver import Found
from drivers.errors import DriverError
from drivers.line import SerialSettings
from drivers.protocol import protocol_named
from hesper.installer.scan import ScanOrder, SearchOutcome, driver_options

_PLACEHOLDER = "NEW"  # the maker of meters that do not say who they are, until a person has looked


@dataclass(frozen=True, slots=True)
class Heading:
    """Names that a scan cannot know, and proposes all the same."""

    utility: str
    gateway: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Meters that one line can read: of one protocol, at one setting."""

    protocol: str
    settings: SerialSettings
    meters: tuple[Found, ...]

    @property
    def usable(self) -> list[Found]:
        """Those that a configuration can have as they were found."""
        return [found for found in self.meters if _is_usable(self.protocol, found)]


def propose(wanted: ScanOrder, outcomes: Sequence[SearchOutcome], heading: Heading) -> str | None:
    """A configuration in TOML which `hesper gateway check` accepts; None where no meter can be read.

    A port has one protocol and one setting at a time: the group of most meters is proposed, and the others
    are told in comments.
    """
    groups = list(_groups(outcomes))
    best = max(groups, key=lambda group: len(group.usable), default=None)
    if best is None or not best.usable:
        return None
    parts = [
        _HEAD.format(port=wanted.port, **{name: _quoted(text) for name, text in asdict(heading).items()}),
        *_line(wanted, best),
        *(_elsewhere(group) for group in groups if group is not best),
    ]
    return "\n".join(parts)


_HEAD = """\
# Proposed by `hesper gateway scan {port}`. Before it is run: name your utility, gateway and broker, and
# compare every meter with the number that is printed on it. Then: hesper gateway check, plan, and run.
utility = {utility}
gateway = {gateway}
time_zone = {time_zone}

[mqtt]
host = "mqtt.example.org" # your broker; with port, tls, ca, cert and key as it wants them

[buffer]
path = "/var/lib/hesper/buffer.sqlite"
"""


def _groups(outcomes: Sequence[SearchOutcome]) -> Iterator[_Group]:
    for outcome in outcomes:
        for settings in dict.fromkeys(found.settings for found in outcome.found):
            yield _Group(
                outcome.protocol, settings, tuple(one for one in outcome.found if one.settings == settings)
            )


def _line(wanted: ScanOrder, group: _Group) -> Iterator[str]:
    transport = driver_options(group.protocol, wanted.transport).get("transport")
    yield "[[line]]"
    yield f"name = {_quoted(_name(wanted.port))}"
    yield f"port = {_quoted(wanted.port)}"
    yield f"protocol = {_quoted(group.protocol)}"
    if transport:
        yield f"transport = {_quoted(str(transport))}"
    if transport != "tcp":
        yield f"settings = {_quoted(str(group.settings))}"
    yield 'schedule = "15min"\n'
    named: set[str] = set()
    for number, found in enumerate(group.meters, start=1):
        meter = _meter_id(group.protocol, found, number)
        rows = list(_meter(found, meter))
        if found not in group.usable or meter in named:
            rows = [f"# {row}" for row in rows]
        elif meter:
            named.add(meter)
        yield "\n".join(rows) + "\n"


def _meter(found: Found, meter: str | None) -> Iterator[str]:
    yield "[[line.meter]]"
    if found.description:
        yield f"# {_plain(found.description)}"
    short = found.address.isdecimal() and str(int(found.address)) == found.address and len(found.address) < 4
    if found.address:
        yield f"address = {found.address if short else _quoted(found.address)}"
    if meter:
        remark = " # does not say who it is: write what is printed on it" if _is_placeholder(meter) else ""
        yield f"meter = {_quoted(meter)}{remark}"
    if found.profile:
        yield f"profile = {_quoted(found.profile)}"


def _is_usable(protocol: str, found: Found) -> bool:
    """Whether a configuration can have the meter as it was found."""
    declared = protocol_named(protocol)
    try:
        declared.check_address(found.address)
    except DriverError:
        return False
    return declared.self_describing or found.profile is not None


def _meter_id(protocol: str, found: Found, number: int) -> str | None:
    """What it says it is; a placeholder where the configuration must name it and the meter does not."""
    if found.meter or protocol_named(protocol).self_describing:
        return found.meter
    return f"{_PLACEHOLDER}-{number}"


def _is_placeholder(meter: str) -> bool:
    return meter.startswith(f"{_PLACEHOLDER}-")


def _elsewhere(group: _Group) -> str:
    meters = ", ".join(found.address or "the only one" for found in group.meters)
    return (
        f"# Also found, by {group.protocol} at {group.settings}: {meters}. A port has one protocol and one\n"
        "# setting at a time: set these meters to the line's, or give them a port of their own.\n"
    )


def _name(port: str) -> str:
    """A line's name from its port: 'ttyUSB0', '192.168.1.20:5000'."""
    return port.rpartition("/")[2][:64] or "line"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(text: str) -> str:
    """A text that fits a comment: one line, printable."""
    return re.sub(r"[^ -~\u00a0-\uffff]+", " ", text)
