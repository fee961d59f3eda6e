"""Anchors: whatever somebody changes of the audit log shows beside what was kept outside of its database."""

import hashlib
import random
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from hesper.audit.anchor import AnchorError, witnesses
from hesper.audit.anchor_file import AnchorFile
from hesper.audit.anchoring import HookError, anchor
from store import audit
from store.audit import Break, Head

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CHANGES = 1_000
_FIELDS = (
    "utility_id",
    "position",
    "at",
    "actor",
    "address",
    "action",
    "subject",
    "detail",
    "previous",
    "hash",
)
_ONE = "where coalesce(utility_id, 0) = %s and position = %s"

Change = Callable[[psycopg.Connection, random.Random, int], str]


@pytest.fixture
def log(connection: psycopg.Connection) -> psycopg.Connection:
    """Chains of two utilities and of none, as their owner may change them: without triggers."""
    for code in ("aurora", "borea"):
        connection.execute("insert into utilities (code, name, time_zone) values (%s, 'ž', 'UTC')", (code,))
    for number in range(60):
        audit.sign_as(connection, f"anna {number % 3}", "192.0.2.1")
        audit.note(connection, "read", f"/v1/meters/{number}", utility_id=(None, 1, 2)[number % 3], n=number)
    connection.commit()
    connection.execute("alter table audit_log disable trigger user")
    connection.commit()
    return connection


@pytest.fixture
def file(tmp_path: Path) -> AnchorFile:
    return AnchorFile(tmp_path / "audit")


def broken(log: psycopg.Connection, file: AnchorFile) -> list[Break]:
    return [one for one in audit.verify(log, witnesses(file.anchors())) if isinstance(one, Break)]


def alter_a_field(log: psycopg.Connection, chance: random.Random, chain: int) -> str:
    """One field of one row becomes another value of its kind."""
    field = chance.choice(_FIELDS)
    value = {
        "utility_id": chance.choice([other for other in (None, 1, 2) if (other or 0) != chain]),
        "position": chance.randrange(1_000, 2_000),
        "at": NOW - timedelta(microseconds=chance.randrange(10**15)),
        "previous": chance.randbytes(32),
        "hash": chance.randbytes(32),
        "detail": f'{{"n": {chance.randrange(1_000, 2_000)}}}',
    }.get(field, f"x{chance.random()}")
    if field == "utility_id":  # no two rows of a chain have one position
        log.execute(
            f"update audit_log set utility_id = %s, position = 900 {_ONE}",
            (value, chain, one_of(log, chance, chain)),
        )
    else:
        log.execute(
            f"update audit_log set {field} = %s {_ONE}".encode(),
            (value, chain, one_of(log, chance, chain)),
        )
    return field


def remove_a_row(log: psycopg.Connection, chance: random.Random, chain: int) -> str:
    log.execute(
        f"delete from audit_log {_ONE}",
        (chain, one_of(log, chance, chain)),
    )
    return "removed"


def cut_the_end(log: psycopg.Connection, chance: random.Random, chain: int) -> str:
    log.execute(
        "delete from audit_log where coalesce(utility_id, 0) = %s and position >= %s",
        (chain, one_of(log, chance, chain)),
    )
    return "cut"


def remove_the_chain(log: psycopg.Connection, _chance: random.Random, chain: int) -> str:
    log.execute("delete from audit_log where coalesce(utility_id, 0) = %s", (chain,))
    return "chain removed"


def rewrite_from_a_row(log: psycopg.Connection, chance: random.Random, chain: int) -> str:
    """A row is altered, and it and all behind it get hashes that hold."""
    altered = one_of(log, chance, chain)
    log.execute(
        f"update audit_log set actor = 'nobody' {_ONE}",
        (chain, altered),
    )
    rehash(log, chain, altered)
    return "rewritten"


def remove_a_row_and_close_the_gap(log: psycopg.Connection, chance: random.Random, chain: int) -> str:
    gone = one_of(log, chance, chain)
    log.execute("delete from audit_log where coalesce(utility_id, 0) = %s and position = %s", (chain, gone))
    for (position,) in log.execute(
        "select position from audit_log where coalesce(utility_id, 0) = %s and position > %s order by 1",
        (chain, gone),
    ).fetchall():
        log.execute(
            f"update audit_log set position = position - 1 {_ONE}",
            (chain, position),
        )
    rehash(log, chain, gone)
    return "gap closed"


def one_of(log: psycopg.Connection, chance: random.Random, chain: int) -> int:
    found = log.execute(
        "select position from audit_log where coalesce(utility_id, 0) = %s order by 1", (chain,)
    ).fetchall()
    return int(chance.choice(found)[0])


def rehash(log: psycopg.Connection, chain: int, start: int) -> None:
    """Give the rows from `start` on the hashes that the database's own function gives them."""
    for (position,) in log.execute(
        "select position from audit_log where coalesce(utility_id, 0) = %s and position >= %s order by 1",
        (chain, start),
    ).fetchall():
        log.execute(
            """
            update audit_log as a set previous = p.hash, hash = audit_hash(
                p.hash, coalesce(a.utility_id::text, ''), a.position::text,
                to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
                a.actor, a.address, a.action, a.subject, a.detail)
            from (select coalesce((select hash from audit_log where coalesce(utility_id, 0) = %(chain)s
                                   and position = %(position)s - 1), ''::bytea) as hash) as p
            where coalesce(a.utility_id, 0) = %(chain)s and a.position = %(position)s
            """,
            {"chain": chain, "position": position},
        )


_CHANGES: tuple[Change, ...] = (
    alter_a_field,
    alter_a_field,
    remove_a_row,
    cut_the_end,
    remove_the_chain,
    rewrite_from_a_row,
    remove_a_row_and_close_the_gap,
)


def test_a_thousand_of_a_thousand_random_changes_are_found(log: psycopg.Connection, file: AnchorFile) -> None:
    assert anchor(log, file, NOW) == []
    assert broken(log, file) == []
    chance = random.Random(1)
    log.commit()
    missed, made = [], Counter[str]()
    for number in range(CHANGES):
        change = _CHANGES[number % len(_CHANGES)]
        what = change(log, chance, chance.choice((0, 1, 2)))
        made[what] += 1
        if not broken(log, file):
            missed.append((number, what))
        log.rollback()
    assert missed == []
    assert made.keys() >= {*_FIELDS, "removed", "cut", "chain removed", "rewritten", "gap closed"}
    assert broken(log, file) == []


@pytest.mark.parametrize("change", [cut_the_end, remove_the_chain, rewrite_from_a_row])
def test_without_an_anchor_what_its_owner_does_to_the_end_does_not_show(
    log: psycopg.Connection, file: AnchorFile, change: Change
) -> None:
    """Why there are anchors."""
    change(log, random.Random(1), 1)
    assert broken(log, file) == []


def test_the_next_anchor_tells_what_happened_since_the_last_and_hides_nothing(
    log: psycopg.Connection, file: AnchorFile
) -> None:
    anchor(log, file, NOW)
    rewrite_from_a_row(log, random.Random(1), 1)
    (found,) = anchor(log, file, NOW + timedelta(hours=1))
    assert (found.utility, found.position) == ("aurora", 21)
    assert anchor(log, file, NOW + timedelta(hours=2)) == [], "told once"
    assert [one.utility for one in broken(log, file)] == ["aurora"], "and found for ever"


def test_what_was_written_since_holds(log: psycopg.Connection, file: AnchorFile) -> None:
    anchor(log, file, NOW)
    log.execute("alter table audit_log enable trigger user")
    audit.note(log, "read", "/", utility_id=1)
    assert anchor(log, file, NOW + timedelta(hours=1)) == []
    found = {one.utility: one for one in audit.verify(log, witnesses(file.anchors()))}
    assert {code: isinstance(one, Head) and one.position for code, one in found.items()} == {
        "-": 20,
        "aurora": 22,
        "borea": 21,
    }


@pytest.mark.parametrize("line", [0, 1, 2])
def test_an_anchor_that_was_altered_or_taken_out_is_named(
    log: psycopg.Connection, file: AnchorFile, line: int
) -> None:
    for hour in range(3):
        anchor(log, file, NOW + timedelta(hours=hour))
    whole = file.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[line] = lines[line].replace(b"2026-11-01", b"2026-11-02")
    file.path.write_bytes(b"".join(lines))
    with pytest.raises(AnchorError, match=f"line {line + 1}: its signature does not hold"):
        list(file.anchors())
    if line < 2:
        del lines[line]
        file.path.write_bytes(b"".join(lines))
        with pytest.raises(AnchorError, match=f"line {line + 1}: it does not follow"):
            list(file.anchors())


def test_a_line_that_a_power_cut_left_half_is_no_anchor_and_the_next_one_takes_its_place(
    log: psycopg.Connection, file: AnchorFile
) -> None:
    anchor(log, file, NOW)
    with file.path.open("ab") as end:
        end.write(b"0123 {")
    assert len(list(file.anchors())) == 1
    anchor(log, file, NOW)
    assert len(list(AnchorFile(file.folder).anchors())) == 2


def test_without_its_key_no_anchor_is_made_that_the_others_would_not_go_with(
    log: psycopg.Connection, file: AnchorFile
) -> None:
    anchor(log, file, NOW)
    assert (file.folder / "key.pem").stat().st_mode & 0o777 == 0o600
    (file.folder / "key.pem").unlink()
    with pytest.raises(AnchorError, match="put it back"):
        anchor(log, file, NOW)
    assert len(list(file.anchors())) == 1


def test_a_hook_gets_the_line_and_what_it_says_is_kept_and_a_failing_one_is_told(
    log: psycopg.Connection, file: AnchorFile, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    program = f"import sys; open({str(taken)!r}, 'wb').write(sys.stdin.buffer.read()); print('receipt')"
    anchor(log, file, NOW, hook=shlex.join([sys.executable, "-c", program]))
    line = file.last_line()
    assert taken.read_bytes() == line
    assert (file.folder / "receipts" / hashlib.sha256(line).hexdigest()).read_text() == "receipt\n"
    refuses = shlex.join([sys.executable, "-c", "import sys; sys.exit('no network')"])
    with pytest.raises(HookError, match="code 1: no network"):
        anchor(log, file, NOW, hook=refuses)
    assert len(list(file.anchors())) == 2, "it is kept all the same"
