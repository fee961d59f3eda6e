"""IEC 61968-9: the order and the types of the profile's schema, and the figures."""

import re
from decimal import Decimal
from xml.etree import ElementTree

from hypothesis import given

from telemetry.micro import to_micro
from tests.metering.delivery.formats.samples import row, texts, written
from tests.metering.delivery.formats.xml_rules import follows

IEC = "{http://iec.ch/TC57/2011/MeterReadings#}"

# MeterReadings.xsd of the IEC 61968-9 profile, in the same notation
_IEC: dict[str, str] = {
    "MeterReadings": "EndDeviceEventType* MeterReading* ReadingQualityType* ReadingType*",
    "MeterReading": (
        "isCoincidentTrigger? EndDeviceEvents* IntervalBlocks* Meter? Readings* UsagePoint? valuesInterval?"
    ),
    "Meter": "mRID? Names* status?",
    "UsagePoint": "mRID? Names*",
    "Names": "name NameType?",
    "NameType": "description? name NameTypeAuthority?",
    "NameTypeAuthority": "description? name",
    "Readings": (
        "reason? reportedDateTime? source? timeStamp? value? ReadingQualities* ReadingType timePeriod?"
    ),
    "ReadingQualities": "comment? source? timeStamp? ReadingQualityType",
    "timePeriod": "end? start?",
    "valuesInterval": "end? start?",
    "ReadingType": "",
    "ReadingQualityType": "",
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def check_iec(element: ElementTree.Element) -> None:
    name = element.tag.removeprefix(IEC)
    children = [child.tag.removeprefix(IEC) for child in element]
    assert follows(children, _IEC[name]), (name, children)
    if name in {"ReadingType", "ReadingQualityType"}:
        assert len((element.get("ref") or "").split(".")) == (18 if name == "ReadingType" else 3)
        return
    for child in element:
        tag = child.tag.removeprefix(IEC)
        if tag in _IEC:
            check_iec(child)
        elif tag in {"timeStamp", "start", "end", "reportedDateTime"}:
            assert _INSTANT.fullmatch(child.text or "")
        elif tag == "value":
            assert Decimal(child.text or "").is_finite()
        elif tag == "reason":
            assert child.text == "billing"


def test_iec_61968_keeps_the_rules_of_the_schema_and_the_figures() -> None:
    root = ElementTree.fromstring(written("iec61968"))
    check_iec(root)
    figures = [
        [Decimal(each.findtext(f"{IEC}value") or "") for each in point.findall(f"{IEC}Readings")]
        for point in root.findall(f"{IEC}MeterReading")
    ]
    assert figures[1] == [100, Decimal("112.5"), Decimal("12.5")]
    assert [len(each) for each in figures] == [6, 3, 3, 3]
    # 1 Gcal is 4.1868 GJ: in a power of ten that the schema has, and nothing is rounded
    kind = root.findall(f"{IEC}MeterReading/{IEC}Readings/{IEC}ReadingType")[11].get("ref") or ""
    assert figures[2][2] * Decimal(10) ** int(kind.split(".")[15]) == Decimal("1.234567") * 4_186_800_000


@given(texts.filter(bool))
def test_any_text_is_well_formed_xml(text: str) -> None:
    ElementTree.fromstring(written("iec61968", [row(text, "8-0:1.0.0", "m3", "1", account=text)]))


def test_what_settles_earlier_estimates_is_a_figure_of_its_own() -> None:
    settled = [row("flat-1", "8-0:1.0.0", "m3", "12.5", true_up=to_micro("-2.25"))]
    month = ElementTree.fromstring(written("iec61968", settled))
    used = [
        (each.findtext(f"{IEC}value"), each.find(f".//{IEC}ReadingQualityType"))
        for each in month.iter(f"{IEC}Readings")
        if each.find(f"{IEC}timePeriod") is not None
    ]
    assert [(value, quality.get("ref")) for value, quality in used if quality is not None] == [
        ("12.5", "3.0.0"),
        ("-2.25", "3.11.0"),
    ]
