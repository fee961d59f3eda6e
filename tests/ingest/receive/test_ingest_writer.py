"""A micro-batch in one transaction: what is good is stored once, what is not is kept with its reason."""

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.receive.decode import decode_readings
from ingest.receive.directory import Directory
from ingest.receive.writer import store_readings
from metering.registry.entries import MeterEntry, Registry, UtilityEntry
from store import quarantine
from store.registry import apply
from telemetry.obis import Medium
from telemetry.wire import Batch, Miss, Outcome, WireReadout, encode, to_milliseconds
from tests.support.aurora import (
    COLD,
    ELSEWHERE,
    ENERGY,
    HEAT,
    HOUR,
    NOON,
    NOW,
    TOPIC,
    WATER,
    batch_of,
    timeless,
)


class Writer:
    """Stores batches as one micro-batch and shows what the store holds then."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.directory = Directory()

    def store(self, *batches: Batch, topic: str = TOPIC) -> list[Outcome | None]:
        messages = [decode_readings(topic, encode(batch)) for batch in batches]
        return timeless(store_readings(self.connection, self.directory, messages, to_milliseconds(NOW)))

    def readings(self) -> list[tuple[str, str, int, int]]:
        """(meter, OBIS, hours after noon, micro-units)"""
        return self.connection.execute(
            """
            select m.code, g.obis, ((extract(epoch from r.measured_at) - %s) / 3600)::int, r.value
            from readings r join registers g on g.id = r.register_id join meters m on m.id = g.meter_id
            order by 1, 2, 3
            """,
            (NOON // 1000,),
        ).fetchall()

    def refused(self) -> list[tuple[str, dict[str, float]]]:
        """(reason, values) of what waits in quarantine"""
        return [
            (kept.reason, msgspec.json.decode(kept.payload, type=Batch).readouts[0].values)
            for kept in quarantine.waiting(self.connection)
        ]

    def count(self, table: str) -> int:
        row = self.connection.execute(f"select count(*) from {table}").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def writer(registered: psycopg.Connection) -> Writer:
    return Writer(registered)


def test_values_are_stored_in_micro_units_of_their_register(writer: Writer) -> None:
    outcomes = writer.store(batch_of(1, (WATER, 0, {COLD: 1234.567891}), (WATER, 1, {COLD: -0.1})))
    assert outcomes == [Outcome(1, stored=2)]
    assert writer.readings() == [(WATER, COLD, 0, 1_234_567_891), (WATER, COLD, 1, -100_000)]
    assert writer.count("validation_queue") == 1


def test_storing_the_same_batch_again_changes_nothing(writer: Writer) -> None:
    batch = batch_of(1, (WATER, 0, {COLD: 1.0}), ("XXX-9", 0, {COLD: 1.0}))
    assert writer.store(batch) == [Outcome(1, stored=1, quarantined={"unknown_meter": 1})]
    later = msgspec.structs.replace(batch, sent_at=NOON + 60_000)
    assert writer.store(later) == [Outcome(1, known=1, quarantined={"unknown_meter": 1})]
    assert (writer.count("readings"), writer.count("quarantine")) == (1, 1)


def test_a_repetition_does_not_ask_for_validation(writer: Writer) -> None:
    writer.store(batch_of(1, (WATER, 0, {COLD: 1.0})))
    writer.connection.execute("delete from validation_queue")
    writer.store(batch_of(1, (WATER, 0, {COLD: 1.0})))
    assert writer.count("validation_queue") == 0


def test_another_value_for_the_same_instant_is_kept_aside_and_the_others_stored(writer: Writer) -> None:
    writer.store(batch_of(1, (WATER, 0, {COLD: 1.0})))
    outcomes = writer.store(batch_of(2, (WATER, 0, {COLD: 2.0, "8-0:2.0.0": 0.5}), (WATER, 1, {COLD: 3.0})))
    assert outcomes == [Outcome(2, stored=2, conflicts=1)]
    assert (WATER, COLD, 0, 1_000_000) in writer.readings()
    assert writer.refused() == [("conflict", {COLD: 2.0})]


def test_of_two_values_within_one_micro_batch_the_first_is_stored(writer: Writer) -> None:
    outcomes = writer.store(batch_of(1, (WATER, 0, {COLD: 1.0})), batch_of(2, (WATER, 0, {COLD: 2.0})))
    assert outcomes == [Outcome(1, stored=1), Outcome(2, conflicts=1)]
    assert writer.readings() == [(WATER, COLD, 0, 1_000_000)]


def test_each_batch_of_a_micro_batch_has_its_own_outcome(writer: Writer) -> None:
    writer.store(batch_of(1, (WATER, 0, {COLD: 1.0})))
    outcomes = writer.store(
        batch_of(1, (WATER, 0, {COLD: 1.0})), batch_of(2, (WATER, 1, {COLD: 2.0}), (WATER, 2, {COLD: 3.0}))
    )
    assert outcomes == [Outcome(1, known=1), Outcome(2, stored=2)]


def test_a_known_meter_gets_the_registers_that_it_turns_out_to_have(writer: Writer) -> None:
    writer.store(batch_of(1, (HEAT, 0, {ENERGY: 37319.0, "6-0:2.0.0": 56.108})))
    assert writer.readings() == [
        (HEAT, ENERGY, 0, 37_319_000_000),
        (HEAT, "6-0:2.0.0", 0, 56_108_000),
    ]


def test_a_value_in_another_unit_is_converted_where_that_is_exact(writer: Writer) -> None:
    readout = WireReadout(WATER, NOON, {COLD: 1234.0}, units={COLD: "L"})
    outcomes = writer.store(Batch("life", 1, NOON, [readout]))
    assert outcomes == [Outcome(1, stored=1)]
    assert writer.readings() == [(WATER, COLD, 0, 1_234_000)]


def test_a_register_takes_the_unit_in_which_it_is_first_reported(writer: Writer) -> None:
    readout = WireReadout(HEAT, NOON, {ENERGY: 1.0}, units={ENERGY: "GJ"})
    assert writer.store(Batch("life", 1, NOON, [readout])) == [Outcome(1, stored=1)]
    row = writer.connection.execute("select unit from registers where obis = %s", (ENERGY,)).fetchone()
    assert row == ("GJ",)
    usual = WireReadout(HEAT, NOON + 1, {ENERGY: 1000.0})  # kW.h: 3.6 GJ
    assert writer.store(Batch("life", 2, NOON, [usual])) == [Outcome(2, stored=1)]
    assert writer.readings()[-1][-1] == 3_600_000


@pytest.mark.parametrize(
    ("values", "units", "reason"),
    [
        ({COLD: 0.0001}, {COLD: "L"}, "unit"),  # would have to be rounded
        ({COLD: 1.0}, {COLD: "kW.h"}, "unit"),
        ({COLD: 1.0}, {COLD: "bushel"}, "unit"),
        ({"8-0:2.0.0": 1.0}, {"8-0:2.0.0": "m3"}, "unit"),  # a new register, which is a flow
        ({"8-0:77.0.0": 1.0}, {}, "unit"),  # no usual unit
        ({"volume": 1.0}, {}, "obis"),
        ({"8-0:01.0.0": 1.0}, {}, "obis"),
        ({"8-0:1.0.\x00": 1.0}, {}, "obis"),
        ({COLD: 9e9}, {}, "range"),
        ({COLD: -1e300}, {}, "range"),
    ],
)
def test_an_unusable_value_is_kept_aside_and_its_neighbour_stored(
    writer: Writer, values: dict[str, float], units: dict[str, str], reason: str
) -> None:
    readout = WireReadout(WATER, NOON, values | {"8-0:3.0.0": 20.0}, units=units | {"8-0:3.0.0": "Cel"})
    assert writer.store(Batch("life", 1, NOON, [readout])) == [Outcome(1, stored=1, quarantined={reason: 1})]
    assert writer.readings() == [(WATER, "8-0:3.0.0", 0, 20_000_000)]
    assert writer.refused() == [(reason, values)]


@pytest.mark.parametrize(
    ("meter", "hours", "reason"),
    [
        ("KAM-99999999", 0, "unknown_meter"),
        ("no meter id\x00", 0, "unknown_meter"),
        (ELSEWHERE, 0, "wrong_gateway"),
        (WATER, 14, "instant"),  # an hour and more ahead of NOW
        (WATER, -300_000, "instant"),  # 1991
    ],
)
def test_an_unusable_readout_is_kept_aside_and_the_next_one_stored(
    writer: Writer, meter: str, hours: int, reason: str
) -> None:
    outcomes = writer.store(batch_of(1, (meter, hours, {COLD: 1.0}), (WATER, 1, {COLD: 2.0})))
    assert outcomes == [Outcome(1, stored=1, quarantined={reason: 1})]
    assert writer.readings() == [(WATER, COLD, 1, 2_000_000)]
    assert writer.refused() == [(reason, {COLD: 1.0})]


def missing(number: int, *polls: tuple[str, int, str]) -> Batch:
    """Batch `number` of (meter, hours after NOON, reason), without any readout."""
    return Batch("life", number, NOON, [], [Miss(meter, NOON + at * HOUR, why) for meter, at, why in polls])


def test_missed_polls_are_kept_once_and_acknowledged(writer: Writer) -> None:
    batch = missing(1, (WATER, 0, "no answer"), (HEAT, 1, "a newer gateway's\x00reason"))
    assert writer.store(batch) == [Outcome(1, missed=2)]
    assert writer.store(batch, missing(2, (WATER, 0, "line down"))) == [
        Outcome(1, missed=2),
        Outcome(2, missed=1),
    ]
    rows = writer.connection.execute(
        """
        select m.code, p.reason, g.code from missed_polls p
        join meters m on m.id = p.meter_id join gateways g on g.id = p.gateway_id order by due_at
        """
    )
    assert rows.fetchall() == [
        (WATER, "no answer", "house"),
        (HEAT, "a newer gateway's\ufffdreason", "house"),
    ]


@pytest.mark.parametrize(
    ("meter", "hours", "reason"),
    [("KAM-99999999", 0, "unknown_meter"), (ELSEWHERE, 0, "wrong_gateway"), (WATER, 40, "instant")],
)
def test_a_missed_poll_that_cannot_be_is_kept_aside_with_those_of_the_same_meter(
    writer: Writer, meter: str, hours: int, reason: str
) -> None:
    batch = missing(1, (meter, hours, "no answer"), (WATER, 0, "no answer"), (meter, hours, "garbled"))
    assert writer.store(batch) == [Outcome(1, missed=1, quarantined={reason: 2})]
    (kept,) = quarantine.waiting(writer.connection)
    assert (kept.reason, kept.meter) == (reason, meter)
    assert len(msgspec.json.decode(kept.payload, type=Batch).missed) == 2


def test_missed_polls_of_an_unknown_gateway_are_kept_aside_with_its_message(writer: Writer) -> None:
    batch = missing(1, (WATER, 0, "no answer"))
    outcomes = writer.store(batch, topic="hesper/v1/aurora/attic/readings")
    assert outcomes == [Outcome(1, quarantined={"unknown_gateway": 1})]


def test_a_meter_that_moved_is_taken_from_its_new_gateway_at_once_and_soon_no_more_from_the_old(
    registered: psycopg.Connection,
) -> None:
    now = 0.0
    writer = Writer(registered)
    writer.directory = Directory(monotonic=lambda: now)
    yard = "hesper/v1/aurora/yard/readings"
    assert writer.store(batch_of(1, (WATER, 0, {COLD: 1.0}))) == [Outcome(1, stored=1)]
    registered.execute(
        "update meters set gateway_id = (select id from gateways where code = 'yard') where code = %s",
        (WATER,),
    )
    assert writer.store(batch_of(1, (WATER, 1, {COLD: 1.0})), topic=yard) == [Outcome(1, stored=1)]
    now = 61.0
    assert writer.store(batch_of(2, (WATER, 2, {COLD: 1.0}))) == [
        Outcome(2, quarantined={"wrong_gateway": 1})
    ]


def test_a_form_of_readout_that_is_known_is_judged_like_one_that_is_new(writer: Writer) -> None:
    """Plans are kept for what is right only: wrong instants, units and numbers are seen every time."""
    assert writer.store(batch_of(1, (WATER, 0, {COLD: 1.0}))) == [Outcome(1, stored=1)]
    assert writer.store(batch_of(2, (WATER, 40, {COLD: 1.0}))) == [Outcome(2, quarantined={"instant": 1})]
    assert writer.store(batch_of(3, (WATER, 1, {COLD: 9e9}))) == [Outcome(3, quarantined={"range": 1})]
    litres = WireReadout(WATER, NOON + 2 * HOUR, {COLD: 1234.0}, units={COLD: "L"})
    wrong = WireReadout(WATER, NOON + 3 * HOUR, {COLD: 1.0}, units={COLD: "kW.h"})
    assert writer.store(Batch("life", 4, NOON, [litres, wrong])) == [
        Outcome(4, stored=1, quarantined={"unit": 1})
    ]
    assert writer.readings()[1:] == [(WATER, COLD, 2, 1_234_000)]


@pytest.mark.parametrize("topic", ["hesper/v1/aurora/attic/readings", "hesper/v1/borealis/house/readings"])
def test_nothing_is_taken_from_a_gateway_that_is_not_registered(writer: Writer, topic: str) -> None:
    batch = batch_of(1, (WATER, 0, {COLD: 1.0}), (WATER, 1, {COLD: 1.0}))
    assert writer.store(batch, topic=topic) == [Outcome(1, quarantined={"unknown_gateway": 2})]
    assert writer.store(batch, topic=topic) == [Outcome(1, quarantined={"unknown_gateway": 2})]
    assert writer.count("readings") == 0
    assert writer.count("quarantine") == 1


def test_a_meter_of_another_utility_is_unknown(writer: Writer) -> None:
    entry = MeterEntry("KAM-00000007", Medium.COLD_WATER)
    apply(writer.connection, Registry([UtilityEntry("borealis", "Borealis", "UTC", meters=[entry])]))
    outcomes = writer.store(batch_of(1, ("KAM-00000007", 0, {COLD: 1.0})))
    assert outcomes == [Outcome(1, quarantined={"unknown_meter": 1})]


def test_a_meter_that_is_registered_after_all_is_known_with_its_next_message(writer: Writer) -> None:
    writer.store(batch_of(1, (WATER, 0, {COLD: 1.0})))
    entry = MeterEntry("KAM-00000008", Medium.COLD_WATER)
    apply(writer.connection, Registry([UtilityEntry("aurora", "Aurora", "Europe/Vilnius", meters=[entry])]))
    assert writer.store(batch_of(2, ("KAM-00000008", 0, {COLD: 1.0}))) == [Outcome(2, stored=1)]


def test_a_name_that_is_not_known_does_not_make_us_read_the_registry_every_time(
    registered: psycopg.Connection,
) -> None:
    now = 0.0
    writer = Writer(registered)
    writer.directory = Directory(monotonic=lambda: now)
    writer.store(batch_of(1, ("KAM-00000008", 0, {COLD: 1.0})))
    entry = MeterEntry("KAM-00000008", Medium.COLD_WATER)
    apply(registered, Registry([UtilityEntry("aurora", "Aurora", "Europe/Vilnius", meters=[entry])]))
    assert writer.store(batch_of(2, ("KAM-00000008", 0, {COLD: 1.0})))[0] == Outcome(
        2, quarantined={"unknown_meter": 1}
    )
    now = 6.0
    assert writer.store(batch_of(3, ("KAM-00000008", 0, {COLD: 1.0})))[0] == Outcome(3, stored=1)


def test_telegrams_are_kept_with_their_batch_even_where_no_value_is_new(writer: Writer) -> None:
    readout = WireReadout(WATER, NOON, {COLD: 1.0})
    writer.store(Batch("life", 1, NOON, [readout]))
    writer.store(Batch("life", 2, NOON, [msgspec.structs.replace(readout, raw=b"\x68\x16")]))
    assert writer.connection.execute("select epoch, batch, raw from telegrams").fetchall() == [
        ("life", 2, b"\x68\x16")
    ]


def test_messages_that_cannot_be_read_are_kept_as_they_came(writer: Writer) -> None:
    payloads = [b"\x00\xff", b'{"epoch":"e","batch":3,"readouts":0}', b'{"epoch":"e","batch":4}']
    messages = [decode_readings(TOPIC, payload) for payload in payloads]
    for _ in range(2):
        outcomes = store_readings(writer.connection, writer.directory, messages, to_milliseconds(NOW))
    assert timeless(outcomes) == [
        None,
        Outcome(3, quarantined={"malformed": 1}),
        Outcome(4, quarantined={"malformed": 1}),
    ]
    kept = quarantine.waiting(writer.connection)
    assert {entry.payload for entry in kept} == set(payloads)
    assert {entry.topic for entry in kept} == {TOPIC}


names = st.sampled_from([WATER, HEAT, ELSEWHERE]) | st.text(max_size=64)
codes = st.sampled_from([COLD, ENERGY, "8-0:2.0.0", "8-0:77.0.0"]) | st.text(max_size=64)
units = st.sampled_from(["m3", "L", "GJ", "kW.h"]) | st.text(max_size=64)
readouts = st.builds(
    WireReadout,
    meter=names,
    at=st.integers(NOON, NOON + 3) | st.integers(0, 253_402_300_799_999),
    values=st.dictionaries(codes, st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    status=st.integers(0, 32_767),
    units=st.dictionaries(codes, units, max_size=2),
    raw=st.binary(max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(readouts, max_size=6))
def test_whatever_a_message_holds_its_readouts_are_stored_or_kept(
    writer: Writer, received: list[WireReadout]
) -> None:
    (outcome,) = writer.store(Batch("life", 1, NOON, received))
    assert outcome is not None
    taken = outcome.stored + outcome.known + outcome.conflicts
    assert taken <= sum(len(readout.values) for readout in received)
    if not outcome.quarantined:
        assert taken == sum(len(readout.values) for readout in received)
    (again,) = writer.store(Batch("life", 1, NOON, received))
    known = outcome.stored + outcome.known
    assert again == msgspec.structs.replace(outcome, stored=0, known=known)
