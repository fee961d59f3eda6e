"""Rows of one utility, put by their keys: added, changed where they differ, and counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.types.json import Jsonb

from metering.registry.checks import RegistryError
from telemetry.micro import to_micro


@dataclass(slots=True)
class EntryCount:
    """Entries of one kind by what was done with them."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class RegistrySummary:
    """Counts of what an application did, by kind: 'utilities', 'sites', 'gateways', 'meters' ..."""

    counts: dict[str, EntryCount] = field(default_factory=dict)

    def of(self, kind: str) -> EntryCount:
        """The count of a kind, zero where nothing of it was in the document."""
        return self.counts.setdefault(kind, EntryCount())


def micro_values(values: Mapping[str, str]) -> Jsonb:
    """Readings of registers, {OBIS: decimal text}, as the column that holds them in micro-units."""
    return Jsonb({obis: to_micro(value) for obis, value in sorted(values.items())})


def given(**values: Any) -> dict[str, Any]:
    """Values that the document names; the others stay as the database has them."""
    return {column: value for column, value in values.items() if value is not None}


class Rows:
    """Tables, columns and keys are literals of the caller, never input. `utility_id` is set once known."""

    def __init__(
        self, connection: Connection[Any], summary: RegistrySummary, zone: ZoneInfo, utility_id: int = 0
    ) -> None:
        self.connection = connection
        self.summary = summary
        self.zone = zone
        self.utility_id = utility_id
        self._known: dict[tuple[str, str], int] = {}  # (table, code) -> id, of what was looked up or put

    def reference(self, table: str, code: str | None, name: str) -> int | None:
        """The id of what the entry `name` refers to. Raises RegistryError where it is not registered."""
        if code is None:
            return None
        if (table, code) in self._known:
            return self._known[table, code]
        row = self.connection.execute(
            f"select id from {table} where utility_id = %s and code = %s",  # noqa: S608 - see the class
            (self.utility_id, code),
        ).fetchone()
        if row is None:
            kind = table.rstrip("s").replace("_", " ")
            raise RegistryError(name, f"there is no {kind} {code}", f"list that {kind} too, or mend its code")
        self._known[table, code] = int(row[0])
        return self._known[table, code]

    def instant(self, moment: datetime) -> datetime:
        """An instant of an entry: local time of the utility where it has no offset."""
        return moment.replace(tzinfo=self.zone) if moment.tzinfo is None else moment

    def put(
        self,
        table: str,
        key: dict[str, Any],
        values: dict[str, Any],
        added: dict[str, Any] | None = None,
        *,
        identity: str = "id",
    ) -> int:
        """Adds the row, or changes it where its values differ, and returns its column `identity`.

        `added` are values that only a new row takes.
        """
        new = {**key, **(added or {}), **values}
        differs = " or ".join(f"t.{column} is distinct from excluded.{column}" for column in values)
        row = self.connection.execute(
            f"""
            insert into {table} as t ({", ".join(new)})
            values ({", ".join(f"%({column})s" for column in new)})
            on conflict ({", ".join(key)}) do update
            set {", ".join(f"{column} = excluded.{column}" for column in values)}
            where {differs}
            returning {identity}, xmax = 0
            """,  # noqa: S608 - see the class
            new,
        ).fetchone()
        count = self.summary.of(table)
        if row is None:
            count.unchanged += 1
            where = " and ".join(f"{column} = %({column})s" for column in key)
            row = self.connection.execute(
                f"select {identity} from {table} where {where}",  # noqa: S608 - see the class
                key,
            ).fetchone()
        elif row[1]:
            count.added += 1
        else:
            count.changed += 1
        assert row is not None
        if "code" in key:
            self._known[table, key["code"]] = int(row[0])
        return int(row[0])
