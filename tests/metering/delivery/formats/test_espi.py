"""Green Button: the order and the types of the published schema, and exactly what was billed."""

from decimal import Decimal
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given

from metering.delivery.format import InexpressibleError
from metering.delivery.reading_types import POWERS
from telemetry.micro import to_micro
from telemetry.quality import Quality
from tests.metering.delivery.formats.samples import row, texts, written
from tests.metering.delivery.formats.xml_rules import follows

ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"

# espiDerived.xsd: of each object its elements in order, with the type of each; ? may be missing, * may repeat
_ESPI = {
    "UsagePoint": ("roleFlags? ServiceCategory? status? ServiceDeliveryPoint?", {}),
    "ServiceCategory": ("kind", {"kind": range(10)}),
    "ServiceDeliveryPoint": ("name? tariffProfile? customerAgreement?", {}),
    "MeterReading": ("", {}),
    "ReadingType": (
        (
            "accumulationBehaviour? commodity? consumptionTier? currency? dataQualifier? defaultQuality? "
            "flowDirection? intervalLength? kind? phase? powerOfTenMultiplier? timeAttribute? tou? uom? cpp? "
            "interharmonic? measuringPeriod? argument?"
        ),
        {
            "accumulationBehaviour": {0, 1, 2, 3, 4, 6, 9, 10, 12, 13, 14},
            "commodity": range(42),
            "defaultQuality": {0, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19},
            "flowDirection": range(21),
            "kind": range(167),
            "powerOfTenMultiplier": POWERS,
            "timeAttribute": {0, 8, 11, 13, 22, 24, 32},
            "tou": range(-(2**15), 2**15),
            "uom": {0, 31, 42, 71, 72, 73, 111},
        },
    ),
    "IntervalBlock": ("interval? IntervalReading*", {}),
    "interval": ("duration start", {"duration": range(2**32), "start": range(2**63)}),
    "timePeriod": ("duration start", {"duration": range(2**32), "start": range(2**63)}),
    "IntervalReading": (
        "cost? ReadingQuality* timePeriod? value? consumptionTier? tou? cpp?",
        {"value": range(-(2**47), 2**47 + 1)},
    ),
    "ReadingQuality": ("quality", {"quality": {int(each) for each in Quality}}),
}


def check_espi(element: ElementTree.Element) -> None:
    """The rules of the schema for an object and all within it."""
    name = element.tag.removeprefix(ESPI)
    model, kinds = _ESPI[name]
    children = [child.tag.removeprefix(ESPI) for child in element]
    assert follows(children, model), (name, children)
    assert not element.attrib
    for child in element:
        tag = child.tag.removeprefix(ESPI)
        if tag in _ESPI:
            check_espi(child)
        else:
            assert len(child) == 0
            assert tag not in kinds or int(child.text or "") in kinds[tag], (tag, child.text)
            assert tag not in {"name", "customerAgreement"} or 0 < len(child.text or "") <= 256


def entries(feed: ElementTree.Element) -> list[tuple[str, ElementTree.Element, ElementTree.Element]]:
    """(kind, entry, object) of each entry."""
    found = []
    for entry in feed.iter(f"{ATOM}entry"):
        (inside,) = entry.iterfind(f"{ATOM}content/*")
        found.append((inside.tag.removeprefix(ESPI), entry, inside))
    return found


def test_espi_keeps_the_rules_of_the_published_schema() -> None:
    feed = ElementTree.fromstring(written("espi"))
    assert feed.tag == f"{ATOM}feed"
    for name in ("id", "title", "updated"):  # RFC 4287, 4.1.1
        assert len(feed.findall(f"{ATOM}{name}")) == 1
    links, ids = {}, set()
    for kind, entry, inside in entries(feed):
        check_espi(inside)
        for name in ("id", "title", "updated", "published", "content"):
            assert len(entry.findall(f"{ATOM}{name}")) == 1, (kind, name)
        text = entry.findtext(f"{ATOM}id") or ""
        assert str(UUID(text.removeprefix("urn:uuid:"))) == text.removeprefix("urn:uuid:")
        ids.add(text)
        by_rel = [(link.get("rel"), link.get("href") or "") for link in entry.findall(f"{ATOM}link")]
        (own,) = [href for rel, href in by_rel if rel == "self"]
        assert own.rpartition("/")[0] in [href for rel, href in by_rel if rel == "up"]
        links[own] = (kind, [href for rel, href in by_rel if rel == "related"])
    assert len(ids) == len(links) == len(entries(feed))
    for kind, related in links.values():
        assert all(href in links for href in related), kind
    kinds = [kind for kind, _ in links.values()]
    assert [kinds.count(kind) for kind in ("UsagePoint", "MeterReading", "ReadingType", "IntervalBlock")] == [
        4,
        5,
        5,
        5,
    ]
    for kind, related in links.values():
        if kind == "MeterReading":
            assert sorted(links[href][0] for href in related) == ["IntervalBlock", "ReadingType"]


def test_espi_says_exactly_what_was_billed() -> None:
    found = entries(ElementTree.fromstring(written("espi")))
    own = {
        link.get("href"): inside
        for _, entry, inside in found
        for link in entry.findall(f"{ATOM}link")
        if link.get("rel") == "self"
    }
    said = []
    for kind, entry, _ in found:
        if kind != "MeterReading":
            continue
        related = [
            own[link.get("href")] for link in entry.findall(f"{ATOM}link") if link.get("rel") == "related"
        ]
        block, measured = sorted(related, key=lambda each: each.tag)
        value = int(block.findtext(f"{ESPI}IntervalReading/{ESPI}value") or "")
        power = int(measured.findtext(f"{ESPI}powerOfTenMultiplier") or "")
        uom = measured.findtext(f"{ESPI}uom")
        quality = block.findtext(f"{ESPI}IntervalReading/{ESPI}ReadingQuality/{ESPI}quality")
        said.append((Decimal(value).scaleb(power), uom, quality))
    assert said == [
        (Decimal(123456), "72", "0"),
        (Decimal("0.001"), "72", "9"),
        (Decimal("12.5"), "42", "0"),
        (Decimal("1.234567") * 4_186_800_000, "31", "0"),
        (Decimal(-500000000), "31", "10"),
    ]


def test_espi_refuses_what_its_integers_cannot_hold() -> None:
    with pytest.raises(InexpressibleError, match="its consumption is too large"):
        written("espi", [row("flat", "8-0:1.0.0", "m3", "200000000")])


@given(texts.filter(bool))
def test_any_text_is_well_formed_xml(text: str) -> None:
    ElementTree.fromstring(written("espi", [row(text, "8-0:1.0.0", "m3", "1", account=text)]))


def test_what_settles_earlier_estimates_is_a_meter_reading_of_its_own() -> None:
    settled = [row("flat-1", "8-0:1.0.0", "m3", "12.5", true_up=to_micro("-2.25"))]
    feed = ElementTree.fromstring(written("espi", settled))
    for content in feed.iter(f"{ATOM}content"):
        check_espi(content[0])
    told = [
        (block.findtext(f".//{ESPI}quality"), block.findtext(f".//{ESPI}value"))
        for block in feed.iter(f"{ESPI}IntervalBlock")
    ]
    assert told == [("0", "12500000"), ("11", "-2250000")]
    readings = [link.get("href") for link in feed.iter(f"{ATOM}link") if link.get("rel") == "self"]
    assert len(set(readings)) == len(readings)
