"""Rule as it declares itself, in the file that holds it.

A file of `boundary/` or `detectors/` lists its kinds of findings as `RULES`, and as `DETECTORS` the
functions that look for them in a block; `catalogue.py` collects both. Everything else goes by the
declarations: the marks that a finding puts on its readings, which findings are final, the parameters that a
utility may set, and the table of README.md.
"""

from dataclasses import dataclass, fields
from enum import Enum

from anomaly.input.series import DAY
from telemetry.findings import Severity, Verdict


class Duration(Enum):
    """Extent of a kind's findings, by which a checkpoint knows which of them are final.

    READINGS: from reading to reading, and final when it is over. BREAK: the same, and a later one may have to
    be explained together with it, however long ago it was. DAYS: whole local days, looked for anew from a day
    that lies within none. STANDSTILL: as long as the register stands still. DATE: from a date of the registry
    on, and said anew each time.
    """

    READINGS = "readings"
    BREAK = "break"
    DAYS = "days"
    STANDSTILL = "standstill"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Rule:
    """Declaration of one kind of finding.

    `says`: what it means, in a line. `verdict`: on the readings that it names, None where it is about none.
    `evidence`: the names of its figures, apart by spaces. `parameters`: the class, of which it goes by those
    that `uses` names, by all where that is empty. `joins`: within how many microseconds another one is the
    same event.
    """

    kind: str
    says: str
    severities: tuple[Severity, ...]
    evidence: str
    verdict: Verdict | None = Verdict.INFO
    lasts: Duration = Duration.READINGS
    parameters: type | None = None
    uses: str = ""
    joins: int = DAY

    @property
    def parameter_names(self) -> list[str]:
        """The parameters that it goes by."""
        if self.parameters is None:
            return []
        return self.uses.split() or [each.name for each in fields(self.parameters)]
