"""Green Button / ESPI (NAESB REQ.21, espiDerived.xsd): an Atom feed of usage points and their months.

A service point is a UsagePoint, each of its billed registers a MeterReading with a ReadingType, and the month
an IntervalBlock with one IntervalReading: the consumption, with its quality. What settles earlier estimates
is a MeterReading of its own, derived (11), so that the sum over a usage point is all that is to be billed.
Ids are UUIDs of what they name.

    <feed> <entry> UsagePoint   <entry> MeterReading   <entry> ReadingType   <entry> IntervalBlock ...
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from uuid import NAMESPACE_URL, UUID, uuid5

from metering.billing.canonical_hash import instant
from metering.delivery.format import Format, InexpressibleError
from metering.delivery.outgoing import Issue, OutgoingReading
from metering.delivery.reading_types import BILLING_PERIOD, DELTA, ReadingType, reading_type
from metering.delivery.xml import Xml
from telemetry.micro import MICRO
from telemetry.obis import Medium, Obis
from telemetry.quality import Quality

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
_IN_ESPI = {"xmlns": ESPI}
_ROOT = "/espi/1_1/resource"
_INT48 = 2**47  # of IntervalReading.value
_SERVICE = {  # ServiceKind
    Medium.ELECTRICITY: 0,
    Medium.GAS: 1,
    Medium.COLD_WATER: 2,
    Medium.HOT_WATER: 2,
    Medium.HEAT: 4,
    Medium.HEAT_COST: 4,
    Medium.COOLING: 4,
}


def _pieces(issue: Issue, readings: Iterable[OutgoingReading]) -> Iterator[bytes]:
    """A usage point in each piece. Raises InexpressibleError."""
    feed = _Feed(issue, Xml())
    with feed.xml.element("feed", {"xmlns": ATOM}):
        feed.head(f"Billing readings of {issue.utility} for {issue.period}")
        for point, rows in groupby(readings, attrgetter("service_point")):
            feed.usage_point(point, list(rows))
            yield feed.xml.take()
    yield feed.xml.take()


FORMAT = Format(
    "espi", "Green Button (ESPI)", extension="xml", media_type="application/atom+xml", billing=_pieces
)


@dataclass(frozen=True, slots=True)
class _Amount:
    """Consumption, or (`of`) the true-up of earlier estimates; `amount` in micro-units."""

    row: OutgoingReading
    amount: int
    quality: int
    of: tuple[str, ...] = ()


def _amounts(row: OutgoingReading) -> Iterator[_Amount]:
    yield _Amount(row, row.consumption, row.quality)
    if row.true_up is not None:
        yield _Amount(row, row.true_up, int(Quality.DERIVED), ("true-up",))


class _Feed:
    """The feed of one file; a ReadingType is written where it is first needed."""

    def __init__(self, issue: Issue, xml: Xml) -> None:
        self.xml = xml
        self._issue = issue
        self._known: set[str] = set()

    def head(self, title: str) -> None:
        self.xml.leaf("id", f"urn:uuid:{self._uuid(self._issue.period, str(self._issue.cursor))}")
        self.xml.leaf("title", title)
        self.xml.leaf("updated", instant(self._issue.issued_at))
        with self.xml.element("author"):
            self.xml.leaf("name", self._issue.utility)

    def usage_point(self, point: str, rows: list[OutgoingReading]) -> None:
        """The service point and its months."""
        place = f"UsagePoint/{self._uuid(point)}"
        medium = Obis.parse(rows[0].obis).medium
        if medium not in _SERVICE:
            raise InexpressibleError(f"{point}: ESPI has no service category for {rows[0].obis}; use csv")
        lines = [line for row in rows for line in _amounts(row)]
        months = [f"{place}/MeterReading/{self._uuid(point, line.row.obis, *line.of)}" for line in lines]
        with (
            self._entry(place, point, max(row.created_at for row in rows), months),
            self._object("UsagePoint"),
        ):
            with self.xml.element("ServiceCategory"):
                self.xml.leaf("kind", _SERVICE[medium])
            self.xml.leaf("status", 1)
            with self.xml.element("ServiceDeliveryPoint"):
                self.xml.leaf("name", point[:256])
                if rows[0].account:
                    self.xml.leaf("customerAgreement", rows[0].account[:256])
        for month, line in zip(months, lines, strict=True):
            self._month(month, line)

    def _month(self, month: str, line: _Amount) -> None:
        row = line.row
        kind = reading_type(row.obis, row.unit)
        type_place = f"ReadingType/{self._uuid(row.obis, row.unit)}"
        block = f"{month}/IntervalBlock/{self._uuid(row.service_point, row.obis, row.period, *line.of)}"
        with self._entry(month, " ".join((row.obis, *line.of)), row.created_at, [block, type_place]):
            self.xml.leaf("MeterReading", attributes=_IN_ESPI)
        if type_place not in self._known:
            self._known.add(type_place)
            with self._entry(type_place, f"{row.obis} {row.unit}", self._issue.issued_at, []):
                self._reading_type(kind)
        with self._entry(block, f"{row.period} version {row.version}", row.created_at, []):
            self._block(line, kind)

    def _reading_type(self, kind: ReadingType) -> None:
        with self._object("ReadingType"):
            self.xml.leaf("accumulationBehaviour", DELTA)
            self.xml.leaf("commodity", kind.commodity)
            self.xml.leaf("defaultQuality", int(Quality.VALID))
            self.xml.leaf("flowDirection", kind.flow)
            self.xml.leaf("kind", kind.kind)
            self.xml.leaf("powerOfTenMultiplier", kind.counted(MICRO)[0])
            self.xml.leaf("timeAttribute", BILLING_PERIOD)
            self.xml.leaf("tou", kind.tariff)
            self.xml.leaf("uom", kind.uom)

    def _block(self, line: _Amount, kind: ReadingType) -> None:
        row = line.row
        value = line.amount * kind.counted(MICRO)[1]
        if abs(value) > _INT48:
            raise InexpressibleError(
                f"{row.service_point} {row.obis}: its consumption is too large for ESPI; use csv"
            )
        with self._object("IntervalBlock"):
            self._span("interval", row)
            with self.xml.element("IntervalReading"):
                with self.xml.element("ReadingQuality"):
                    self.xml.leaf("quality", line.quality)
                self._span("timePeriod", row)
                self.xml.leaf("value", value)

    def _span(self, name: str, row: OutgoingReading) -> None:
        with self.xml.element(name):
            self.xml.leaf("duration", round((row.ends_at - row.starts_at).total_seconds()))
            self.xml.leaf("start", round(row.starts_at.timestamp()))

    @contextmanager
    def _entry(self, place: str, title: str, at: datetime, related: list[str]) -> Iterator[None]:
        with self.xml.element("entry"):
            self.xml.leaf("id", f"urn:uuid:{place.rpartition('/')[2]}")
            self.xml.leaf("link", attributes={"rel": "self", "href": f"{_ROOT}/{place}"})
            self.xml.leaf("link", attributes={"rel": "up", "href": f"{_ROOT}/{place.rpartition('/')[0]}"})
            for other in related:
                self.xml.leaf("link", attributes={"rel": "related", "href": f"{_ROOT}/{other}"})
            self.xml.leaf("title", title)
            with self.xml.element("content"):
                yield
            self.xml.leaf("published", instant(at))
            self.xml.leaf("updated", instant(at))

    @contextmanager
    def _object(self, name: str) -> Iterator[None]:
        with self.xml.element(name, _IN_ESPI):
            yield

    def _uuid(self, *names: str) -> UUID:
        """The same for the same names of the utility, whenever it is written."""
        return uuid5(NAMESPACE_URL, "/".join(("hesper", self._issue.utility, *names)))
