"""What could not be used: one row for each thing refused, until a person deals with it."""

from dataclasses import replace

import psycopg

from store import quarantine
from store.quarantine import QuarantineEntry

ENTRY = QuarantineEntry(None, "hesper/v1/a/b/readings", "malformed", "not JSON", None, b"\x00\xff", b"hash")


def test_what_is_refused_again_is_one_row(connection: psycopg.Connection) -> None:
    assert quarantine.insert(connection, [ENTRY, ENTRY]) == 1
    assert quarantine.insert(connection, [ENTRY, replace(ENTRY, payload_hash=b"other")]) == 1
    assert quarantine.count(connection, quarantine.Selection()) == {"malformed": 2}


def test_what_is_kept_comes_back_as_it_was(connection: psycopg.Connection) -> None:
    quarantine.insert(connection, [replace(ENTRY, detail="a NUL \x00 in it", meter="m\x00")])
    (kept,) = quarantine.waiting(connection)
    assert (kept.payload, kept.reason, kept.state) == (b"\x00\xff", "malformed", "waiting")
    assert (kept.detail, kept.meter) == (
        "a NUL \N{REPLACEMENT CHARACTER} in it",
        "m\N{REPLACEMENT CHARACTER}",
    )


def test_waiting_entries_are_listed_oldest_first_in_pages(connection: psycopg.Connection) -> None:
    quarantine.insert(connection, [replace(ENTRY, payload_hash=bytes([number])) for number in range(5)])
    first = quarantine.waiting(connection, limit=3)
    rest = quarantine.waiting(connection, after=first[-1].id)
    assert [entry.id for entry in first + rest] == sorted(entry.id for entry in first + rest)
    assert len(rest) == 2


def test_a_failed_replay_waits_again_and_what_was_discarded_does_not(connection: psycopg.Connection) -> None:
    quarantine.insert(connection, [ENTRY, replace(ENTRY, payload_hash=b"other")])
    first, second = quarantine.waiting(connection)
    assert quarantine.mark_replayed(connection, [first.id]) == 1
    assert quarantine.discard(connection, [first.id, second.id]) == 1
    assert quarantine.waiting(connection) == []
    quarantine.insert(connection, [ENTRY, replace(ENTRY, payload_hash=b"other")])
    assert [entry.id for entry in quarantine.waiting(connection)] == [first.id]


def test_a_utility_sees_its_own(connection: psycopg.Connection) -> None:
    row = connection.execute(
        "insert into utilities (code, name, time_zone) values ('a', 'A', 'UTC') returning id"
    ).fetchone()
    assert row is not None
    quarantine.insert(connection, [ENTRY, replace(ENTRY, utility_id=row[0], payload_hash=b"other")])
    assert [entry.utility_id for entry in quarantine.waiting(connection, utility_id=row[0])] == [row[0]]
    assert quarantine.count(connection, quarantine.Selection(utility_id=row[0])) == {"malformed": 1}


def test_a_topic_longer_than_an_index_holds_is_cut_and_not_fatal(connection: psycopg.Connection) -> None:
    endless = "".join(chr(0x100 + number * 7919 % 20_000) for number in range(9_000))
    entries = [replace(ENTRY, topic=f"hesper/v1/{endless}{end}/x/readings") for end in ("a", "b")]
    assert quarantine.insert(connection, entries) == 1
    (kept,) = quarantine.waiting(connection)
    assert entries[0].topic.startswith(kept.topic)


def test_two_topics_that_are_one_without_their_nul_are_one_row(connection: psycopg.Connection) -> None:
    assert (
        quarantine.insert(connection, [replace(ENTRY, topic="a\x00"), replace(ENTRY, topic="a\ufffd")]) == 1
    )
