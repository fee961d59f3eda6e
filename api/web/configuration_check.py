"""Check of a gateway's configuration before it is sent: its words, and who says them.

The gateway has the last word, with its ports, its files and its meters. What can be known before is told by
a `ConfigurationCheck`: the API may not import the gateway's code, so it is given one where it is composed
(`hesper/gateway_check.py`), and none where a server has no gateway's software installed.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One thing to mend. `line` counts from 1; None where the whole text is meant."""

    line: int | None
    what: str


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """Forecast for a line and its schedules. `utilisation`: the share of its time, 1 is all of it.

    `midnight_seconds`: until all that is due at midnight has been read; None: some of it never is.
    `unknown` meters have a wire time that is not known, and are not counted.
    """

    name: str
    meters: int
    utilisation: float
    midnight_seconds: float | None
    fits: bool
    tight: bool
    unknown: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a check. With a problem the gateway would refuse it, so that no line is planned."""

    problems: Sequence[ConfigurationProblem] = ()
    lines: Sequence[PlannedLine] = ()

    @property
    def fits(self) -> bool:
        """True where every schedule is kept, by what is known."""
        return not self.problems and all(line.fits for line in self.lines)


class ConfigurationCheck(Protocol):
    """Judges a text for the gateway of a utility, beside the text that runs there, where it is known."""

    def __call__(
        self, toml: str, present: str | None, *, utility: str, gateway: str, now: datetime
    ) -> Checked: ...


def difference(present: str, desired: str) -> list[str]:
    """The lines of a unified diff, each with its sign, three unchanged ones around every change."""
    lines = difflib.unified_diff(present.splitlines(), desired.splitlines(), lineterm="", n=3)
    return [line for line in lines if not line.startswith(("---", "+++"))]
