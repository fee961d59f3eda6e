"""A small utility in a test's database: meters with readings at wished-for instants, validated on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from psycopg import Connection

from ingest.billing.close import CloseSummary, close
from ingest.validation import drain
from store.postgres.arrays import microseconds
from store.readings.raw import insert, mark_for_validation
from store.registry.admission import add_register, admit_meters, register_import
from telemetry.micro import to_micro
from telemetry.obis import Medium
from telemetry.status import Status

UTILITY = "town"
VOLUME = "8-0:1.0.0"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Town:
    """`registers`: id by meter. Everything is committed at once."""

    connection: Connection
    time_zone: str = "Europe/Madrid"
    registers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        register_import(self.connection, UTILITY, "test", time_zone=self.time_zone)
        self.connection.commit()

    def meter(self, code: str, readings: Mapping[datetime, str], digits: int | None = None) -> int:
        """A cold water meter at a service point of its own code, installed at its first reading."""
        admit_meters(self.connection, UTILITY, [(code, Medium.COLD_WATER, min(readings))])
        row = self.connection.execute("select id from meters where code = %s", (code,)).fetchone()
        assert row is not None
        self.registers[code] = add_register(self.connection, row[0], VOLUME, digits=digits).register_id
        self.read(code, readings)
        return self.registers[code]

    def read(self, code: str, readings: Mapping[datetime, str], status: Status = Status(0)) -> None:
        """More readings: instants with values in m3."""
        times = np.array([microseconds(at) for at in readings], dtype=np.int64)
        values = np.array([to_micro(Decimal(value)) for value in readings.values()], dtype=np.int64)
        ids = np.full(len(times), self.registers[code], dtype=np.int32)
        insert(self.connection, ids, times, values, np.full(len(times), int(status), dtype=np.int16))
        self.connection.execute(  # a town may lie in the future: what it reads has come by then
            "update readings set received_at = measured_at where received_at < measured_at"
        )
        mark_for_validation(self.connection, ids, times)
        self.connection.commit()

    def judge(self) -> None:
        """Validate all that waits."""
        self.connection.commit()
        drain(self.connection)

    def close(self, period: str, author: str = "anna") -> CloseSummary:
        """Validate what waits, then close; a second person approves what is corrected."""
        self.judge()
        return close(self.connection, UTILITY, period, author, NOW, approver="zoe")

    def billed(self, period: str) -> list[tuple[str, int, Decimal, int, str, str]]:
        """(service point, version, consumption in m3, quality, start method, end method), in that order."""
        rows = self.connection.execute(
            """
            select p.code, b.version, b.consumption / 1e6, b.quality, b.start_method, b.end_method
            from billing_readings b join service_points p on p.id = b.service_point_id
            where b.period = %s order by 1, 2
            """,
            (period,),
        ).fetchall()
        self.connection.commit()
        return [(code, version, used.normalize(), *rest) for code, version, used, *rest in rows]

    def excepted(self, period: str) -> list[tuple[str, str]]:
        """(service point, reason) of the period's last close."""
        rows = self.connection.execute(
            """
            select p.code, e.reason
            from billing_exceptions e join service_points p on p.id = e.service_point_id
            where e.close_id = (select id from closes where period = %s order by run desc limit 1)
            order by 1
            """,
            (period,),
        ).fetchall()
        self.connection.commit()
        return rows
