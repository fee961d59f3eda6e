"""Files of a period: exact, in the order and with the types of their schemas, the same bytes each time."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.delivery.delimited import COLUMNS
from metering.delivery.formats import formats
from metering.delivery.reading_types import POWERS, UnsayableError
from store.delivery.outgoing import Issue, OutgoingReading
from telemetry.micro import from_micro, to_micro
from telemetry.quality import Quality

START, END = datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
ISSUE = Issue("stadt", "2026-10", START, END, 9, datetime(2026, 11, 2, 8, tzinfo=UTC))
ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"
IEC = "{http://iec.ch/TC57/2011/MeterReadings#}"


def row(
    point: str, obis: str, unit: str, used: str, *, start: str = "100", **fields: object
) -> OutgoingReading:
    made = OutgoingReading(
        cursor=4,
        service_point=point,
        account="40001",
        meters=["KAM-1", "KAM-2"],
        obis=obis,
        unit=unit,
        period="2026-10",
        version=1,
        starts_at=START,
        ends_at=END,
        start_offset=timedelta(hours=2),
        end_offset=timedelta(hours=1),
        start_value=to_micro(start),
        end_value=to_micro(Decimal(start) + Decimal(used)),
        consumption=to_micro(used),
        quality=0,
        start_method="set_day",
        end_method="reading",
        content_hash=b"\x01" * 32,
        created_at=datetime(2026, 11, 1, 5, tzinfo=UTC),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


ROWS = [
    row("flat-1 & <co>", "1-0:1.8.1", "kW.h", "123.456"),
    row("flat-1 & <co>", "1-0:1.8.2", "kW.h", "0.000001", version=2, quality=9, end_method="interpolation"),
    row("flat-2", "8-0:1.0.0", "m3", "12.5", meters=[]),
    row("flat-3", "6-0:1.0.0", "Gcal", "1.234567", account=""),
    row("flat-4", "6-0:1.0.0", "GJ", "-0.5", quality=10),
]


def written(name: str, rows: list[OutgoingReading] | None = None, dialect: str = "rfc4180") -> bytes:
    out = io.BytesIO()
    held = ROWS if rows is None else rows
    assert formats(dialect)[name].write(ISSUE, iter(held), out) == len(held)
    assert not out.closed
    return out.getvalue()


@pytest.mark.parametrize("name", ["csv", "parquet", "espi", "iec61968"])
def test_the_same_readings_give_the_same_bytes(name: str) -> None:
    assert written(name) == written(name)
    assert written(name, []) == written(name, [])


def test_csv_is_that_of_rfc_4180() -> None:
    lines = written("csv").split(b"\r\n")
    assert lines[-1] == b""
    assert not any(b"\n" in line for line in lines)
    assert lines[0].decode().split(",") == list(COLUMNS)
    assert lines[1].decode() == (
        "stadt,2026-10,flat-1 & <co>,40001,KAM-1 KAM-2,1-0:1.8.1,kW.h,1,2026-10-01T00:00:00+02:00,"
        "2026-11-01T00:00:00+01:00,100,223.456,123.456,,0,valid,set_day,reading,"
        f"{'01' * 32},4,2026-11-01T05:00:00Z"
    )


def test_csv_for_half_of_europe_has_semicolons_and_decimal_commas() -> None:
    fields = dict(zip(COLUMNS, written("csv", dialect="de").splitlines()[1].decode().split(";"), strict=True))
    assert (fields["end_value"], fields["consumption"]) == ("223,456", "123,456")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(texts, texts, st.integers(-(10**12), 10**12), st.sampled_from(["rfc4180", "de"]))
def test_any_text_and_value_come_back_from_csv(point: str, account: str, micro: int, dialect: str) -> None:
    text = written("csv", [row(point, "8-0:1.0.0", "m3", "1", account=account, consumption=micro)], dialect)
    delimiter, mark = (",", ".") if dialect == "rfc4180" else (";", ",")
    _, values = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter)
    fields = dict(zip(COLUMNS, values, strict=True))
    assert (fields["service_point"], fields["account"]) == (point, account)
    assert Decimal(fields["consumption"].replace(mark, ".")) == from_micro(micro)


def test_parquet_holds_exact_decimals_and_instants() -> None:
    table = pq.read_table(io.BytesIO(written("parquet")))
    assert str(table.schema.field("consumption").type) == "decimal128(19, 6)"
    assert str(table.schema.field("starts_at").type) == "timestamp[us, tz=UTC]"
    assert table.column("consumption").to_pylist() == [from_micro(each.consumption) for each in ROWS]
    assert table.column("meters").to_pylist()[0] == ["KAM-1", "KAM-2"]
    assert table.column("ends_at").to_pylist() == [END] * 5


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


def follows(names: list[str], model: str) -> bool:
    """Whether elements come in the order of a sequence such as 'a b? c*'."""
    parts = [
        f"(?:{word.rstrip('?*')} ){word[-1]}" if word[-1] in "?*" else f"{word} " for word in model.split()
    ]
    return re.fullmatch("".join(parts), "".join(f"{name} " for name in names)) is not None


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
        (inside,) = entry.find(f"{ATOM}content") or []
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
    with pytest.raises(UnsayableError, match="its consumption is too large"):
        written("espi", [row("flat", "8-0:1.0.0", "m3", "200000000")])


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


@pytest.mark.parametrize("name", ["espi", "iec61968"])
def test_any_text_is_well_formed_xml(name: str) -> None:
    @given(texts.filter(bool))
    def check(text: str) -> None:
        ElementTree.fromstring(written(name, [row(text, "8-0:1.0.0", "m3", "1", account=text)]))

    check()


@pytest.mark.parametrize("name", ["csv", "espi", "iec61968"])
def test_a_file_is_written_while_its_readings_come(name: str) -> None:
    out = io.BytesIO()
    sizes = []

    def readings() -> Iterator[OutgoingReading]:
        for number in range(300):
            sizes.append(out.tell())
            yield row(f"flat-{number:05d}", "8-0:1.0.0", "m3", "1")

    formats("rfc4180")[name].write(ISSUE, readings(), out)
    assert 0 < sizes[100] < sizes[200] < sizes[299] < out.tell()


def test_what_settles_earlier_estimates_is_a_figure_of_its_own_in_every_format() -> None:
    settled = [row("flat-1", "8-0:1.0.0", "m3", "12.5", true_up=to_micro("-2.25"))]
    lines = written("csv", settled).decode().splitlines()
    assert dict(zip(lines[0].split(","), lines[1].split(","), strict=True))["true_up"] == "-2.25"
    (stored,) = pq.read_table(io.BytesIO(written("parquet", settled))).to_pylist()
    assert stored["true_up"] == Decimal("-2.25")
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
