"""IEC 61968-9 MeterReadings: what the dial showed at both ends of the period, and what was used between them.

The order of elements is that of the profile's schema (MeterReadings.xsd, 2011), the codes of readings and of
their quality those of its annexes C and D. A value is an exact decimal in the unit that its ReadingType says.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from metering.billing.canonical_hash import decimal, instant
from metering.delivery.format import Format
from metering.delivery.outgoing import Issue, OutgoingReading
from metering.delivery.reading_types import BULK, DELTA, ReadingType, reading_type
from metering.delivery.xml import Xml
from telemetry.quality import Quality

NAMESPACE = "http://iec.ch/TC57/2011/MeterReadings#"
_SYSTEM = 3  # ReadingQualityType: assigned by meter data management
_CATEGORY = {  # ... and its category and index
    Quality.VALID: "0.0",
    Quality.VALIDATED: "0.1",
    Quality.VERIFIED: "0.0",
    Quality.EDITED: "7.0",
    Quality.ESTIMATED: "8.0",
    Quality.INTERPOLATED: "8.0",
    Quality.MIXED: "8.0",
    Quality.QUESTIONABLE: "10.0",
    Quality.DERIVED: "11.0",
    Quality.RAW: "6.0",
}


def _pieces(issue: Issue, readings: Iterable[OutgoingReading]) -> Iterator[bytes]:
    """A service point in each piece. Raises InexpressibleError."""
    xml = Xml()
    with xml.element("MeterReadings", {"xmlns": NAMESPACE}):
        for point, rows in groupby(readings, attrgetter("service_point")):
            months = list(rows)
            with xml.element("MeterReading"):
                if months[0].meters:  # there is room for one: that of the end; the evidence has all of them
                    _named(xml, "Meter", months[0].meters[-1], "MeterId", issue.utility)
                for row in months:
                    _readings(xml, row)
                _named(xml, "UsagePoint", point, "ServicePoint", issue.utility)
                _interval(xml, "valuesInterval", months[0])
            yield xml.take()
    yield xml.take()


FORMAT = Format("iec61968", "IEC 61968-9", extension="xml", media_type="application/xml", billing=_pieces)


def _named(xml: Xml, element: str, name: str, kind: str, authority: str) -> None:
    with xml.element(element), xml.element("Names"):
        xml.leaf("name", name)
        with xml.element("NameType"):
            xml.leaf("name", kind)
            with xml.element("NameTypeAuthority"):
                xml.leaf("name", authority)


def _readings(xml: Xml, row: OutgoingReading) -> None:
    kind = reading_type(row.obis, row.unit)
    for at, value, method in (
        (row.starts_at, row.start_value, row.start_method),
        (row.ends_at, row.end_value, row.end_method),
    ):
        with xml.element("Readings"):
            xml.leaf("reason", "billing")
            xml.leaf("timeStamp", instant(at))
            _value(xml, value, kind)
            _quality(xml, Quality.INTERPOLATED if method == "interpolation" else Quality.VALID, method)
            xml.leaf("ReadingType", attributes={"ref": kind.code(BULK)})
    used = [(row.consumption, Quality(row.quality), Quality(row.quality).label)]
    if row.true_up is not None:  # a line of its own, so that the sum is all that is to be billed
        used.append((row.true_up, Quality.DERIVED, "settles earlier estimates"))
    for amount, quality, comment in used:
        with xml.element("Readings"):
            xml.leaf("reason", "billing")
            xml.leaf("reportedDateTime", instant(row.created_at))
            xml.leaf("timeStamp", instant(row.ends_at))
            _value(xml, amount, kind)
            _quality(xml, quality, f"{comment}, version {row.version}")
            xml.leaf("ReadingType", attributes={"ref": kind.code(DELTA)})
            _interval(xml, "timePeriod", row)


def _quality(xml: Xml, quality: Quality, comment: str) -> None:
    with xml.element("ReadingQualities"):
        xml.leaf("comment", comment)
        xml.leaf("ReadingQualityType", attributes={"ref": f"{_SYSTEM}.{_CATEGORY[quality]}"})


def _value(xml: Xml, micro: int, kind: ReadingType) -> None:
    xml.leaf("value", decimal(micro * kind.counted()[1]))


def _interval(xml: Xml, name: str, row: OutgoingReading) -> None:
    with xml.element(name):
        xml.leaf("end", instant(row.ends_at))
        xml.leaf("start", instant(row.starts_at))
