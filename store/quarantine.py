"""Quarantine of what could not be used, with the reason, until a person mends it or discards it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

_TOPIC_CHARACTERS = 512  # more than any topic of the contract has; MQTT allows 65,535 bytes


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """Message, or part of one, that was refused. `utility_id` None: the topic names no utility that we know.

    `payload` is a message that can be published to `topic` again; `payload_hash` is equal for equal content.
    """

    utility_id: int | None
    topic: str
    reason: str
    detail: str
    meter: str | None
    payload: bytes
    payload_hash: bytes


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """An entry as it stands in the table."""

    id: int
    utility_id: int | None
    topic: str
    reason: str
    detail: str
    meter: str | None
    payload: bytes
    state: str
    received_at: datetime

    @property
    def utility(self) -> str:
        """The utility that the topic names, "" where it is none of the contract."""
        return self._segment(2)

    @property
    def gateway(self) -> str:
        """The gateway that the topic names, "" where it is none of the contract."""
        return self._segment(3)

    def _segment(self, place: int) -> str:
        segments = self.topic.split("/")
        return segments[place] if len(segments) == 5 else ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selection of entries: those that agree with everything that is given. `state` "" means any."""

    ids: Sequence[int] | None = None
    utility: str | None = None
    gateway: str | None = None
    reason: str | None = None
    meter: str | None = None
    state: str = "waiting"
    utility_id: int | None = None

    @property
    def everything(self) -> bool:
        """True where it says nothing but a state."""
        return self.ids is None and not any(
            (self.utility, self.utility_id, self.gateway, self.reason, self.meter)
        )


def insert(connection: Connection, entries: Sequence[QuarantineEntry]) -> int:
    """Keep `entries`; how many are new, or wait again because their replay failed.

    An entry that waits already, or that a person discarded, stays as it is.
    """
    if not entries:
        return 0
    statement = """
        insert into quarantine (utility_id, topic, reason, detail, meter, payload, payload_hash)
        select * from unnest(
            %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bytea[])
        on conflict (topic, reason, payload_hash) do update
            set state = 'waiting', detail = excluded.detail, received_at = now(), resolved_at = null
            where quarantine.state = 'replayed'
    """
    unique = {(_topic(entry.topic), entry.reason, entry.payload_hash): entry for entry in reversed(entries)}
    rows = [
        unique[key] for key in sorted(unique)
    ]  # one order for all writers, so that none waits in a circle
    columns = (
        [row.utility_id for row in rows],
        [_topic(row.topic) for row in rows],
        [row.reason for row in rows],
        [_text(row.detail) for row in rows],
        [None if row.meter is None else _text(row.meter) for row in rows],
        [row.payload for row in rows],
        [row.payload_hash for row in rows],
    )
    return connection.execute(statement, columns).rowcount


def waiting(
    connection: Connection, *, utility_id: int | None = None, after: int = 0, limit: int = 100
) -> list[QuarantineRow]:
    """Entries that wait for a person, oldest first, with an id above `after`; of one utility if given."""
    statement = """
        select id, utility_id, topic, reason, detail, meter, payload, state, received_at
        from quarantine
        where state = 'waiting' and id > %(after)s
          and (%(utility_id)s::int is null or utility_id = %(utility_id)s)
        order by id
        limit %(limit)s
    """
    with connection.cursor(row_factory=class_row(QuarantineRow)) as cursor:
        return cursor.execute(
            statement, {"after": after, "utility_id": utility_id, "limit": limit}
        ).fetchall()


def select(
    connection: Connection, selection: Selection, *, after: int = 0, limit: int = 100
) -> list[QuarantineRow]:
    """The entries of a selection, oldest first, with an id above `after`."""
    with connection.cursor(row_factory=class_row(QuarantineRow)) as cursor:
        return cursor.execute(
            f"""
            select id, utility_id, topic, reason, detail, meter, payload, state, received_at
            from quarantine where id > %(after)s and {_SELECTED}
            order by id limit %(limit)s
            """,  # noqa: S608 - a constant of this module
            asdict(selection) | {"after": after, "limit": limit},
        ).fetchall()


def oldest(connection: Connection, utility_id: int, *, each: int) -> list[QuarantineRow]:
    """The `each` oldest entries of a utility that wait for each reason."""
    with connection.cursor(row_factory=class_row(QuarantineRow)) as cursor:
        return cursor.execute(
            """
            select q.* from (
                select distinct reason from quarantine where utility_id = %(utility)s and state = 'waiting'
            ) r cross join lateral (
                select id, utility_id, topic, reason, detail, meter, payload, state, received_at
                from quarantine
                where utility_id = %(utility)s and state = 'waiting' and reason = r.reason
                order by id limit %(each)s
            ) q order by q.reason, q.id
            """,
            {"utility": utility_id, "each": each},
        ).fetchall()


def groups(connection: Connection, selection: Selection, size: int = 100) -> Iterator[list[QuarantineRow]]:
    """The entries of a selection in groups, each behind a commit; what waits again comes once."""
    after = 0
    while entries := select(connection, selection, after=after, limit=size):
        after = entries[-1].id
        connection.commit()
        yield entries


def count(connection: Connection, selection: Selection) -> dict[str, int]:
    """The entries of a selection by reason."""
    statement = f"select reason, count(*) from quarantine where {_SELECTED} group by reason order by reason"  # noqa: S608
    return dict(connection.execute(statement, asdict(selection)).fetchall())


_SELECTED = """
    (%(ids)s::bigint[] is null or id = any(%(ids)s))
    and (%(utility)s::text is null or split_part(topic, '/', 3) = %(utility)s)
    and (%(utility_id)s::int is null or utility_id = %(utility_id)s)
    and (%(gateway)s::text is null or split_part(topic, '/', 4) = %(gateway)s)
    and (%(reason)s::text is null or reason = %(reason)s)
    and (%(meter)s::text is null or meter = %(meter)s)
    and (%(state)s::text = '' or state = %(state)s)
"""


def mark_replayed(connection: Connection, ids: Sequence[int]) -> int:
    """Say that these waiting entries are being published again; how many there were.

    Mark before publishing, commit after: an entry refused again then waits again.
    """
    return _resolve(connection, ids, "replayed")


def discard(connection: Connection, ids: Sequence[int]) -> int:
    """Say that these waiting entries will never be used; how many there were. They stay in the table."""
    return _resolve(connection, ids, "discarded")


def _resolve(connection: Connection, ids: Sequence[int], state: str) -> int:
    statement = """
        update quarantine set state = %s, resolved_at = now() where id = any(%s) and state = 'waiting'
    """
    return connection.execute(statement, (state, list(ids))).rowcount


def _topic(topic: str) -> str:
    """A topic as the table's unique index can hold it: at most 2704 bytes, with reason and hash."""
    return _text(topic[:_TOPIC_CHARACTERS])


def _text(text: str) -> str:
    """Text as PostgreSQL can keep it: no NUL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
