"""Client of `/v1` for programs in Python: typed documents, pages as iterators, exactly one of each change.

    with Client("https://hesper.example", key) as hesper:
        for meter in hesper.meters(site="house-1"):
            print(meter.id, meter.verified_until)

Every change brings its own Idempotency-Key, so that it is sent again safely when its answer was lost. What is
answered with 429 or 503 is sent again after as long as Retry-After says.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from hesper_client.documents import (
    Acknowledgement,
    BillingPage,
    BillingReading,
    Consumption,
    Installation,
    Meter,
    MeterDetail,
    Period,
    Reading,
    ServicePoint,
    ServicePointDetail,
    Site,
)
from hesper_client.transport import Seen, Transport


class Client:
    """Answers of one utility's API. Raises ProblemError, and httpx.TransportError where none came.

    `sleep` and `new_key` are for tests, `transport` for whatever httpx can be given.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._transport = Transport(http, sleep, new_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._transport.close()

    # The registry. Filters and `fields` are those of the API; sites and meters come in order of their codes.

    def sites(self, **asked: Any) -> Iterator[Site]:
        """All sites."""
        return self._transport.pages("/v1/sites", "sites", Site, asked)

    def meters(self, **asked: Any) -> Iterator[Meter]:
        """Meters, by medium, site, gateway, service_point, account, verification_due_before, or words (q)."""
        return self._transport.pages("/v1/meters", "meters", Meter, asked)

    def meter(self, meter: str) -> Seen[MeterDetail]:
        """One meter."""
        return self._transport.seen(f"/v1/meters/{quote(meter, '')}", MeterDetail)

    def change_meter(self, seen: Seen[MeterDetail], *, reason: str, **fields: Any) -> Seen[MeterDetail]:
        """Change fields of a meter as it was seen; 412 if somebody else did meanwhile."""
        path = f"/v1/meters/{quote(seen.document.id, '')}"
        return self._transport.change_seen("PATCH", path, {"reason": reason, **fields}, seen)

    def record_verification(
        self, meter: str, verified_on: date, valid_until: date, *, certificate: str = "", reason: str
    ) -> None:
        """Record that a meter was verified."""
        told = {
            "verified_on": verified_on.isoformat(),
            "valid_until": valid_until.isoformat(),
            "certificate": certificate,
            "reason": reason,
        }
        self._transport.change("POST", f"/v1/meters/{quote(meter, '')}/verifications", told, msgspec.Raw)

    def service_points(self, **asked: Any) -> Iterator[ServicePoint]:
        """Service points, by site, medium, account."""
        return self._transport.pages("/v1/service-points", "service_points", ServicePoint, asked)

    def service_point(self, code: str) -> Seen[ServicePointDetail]:
        """One service point with its installations."""
        return self._transport.seen(f"/v1/service-points/{quote(code, '')}", ServicePointDetail)

    def exchange_meter(
        self,
        seen: Seen[ServicePointDetail],
        installed: str,
        at: datetime,
        *,
        end_values: Mapping[str, Decimal],
        start_values: Mapping[str, Decimal],
        reason: str,
        removed: str | None = None,
    ) -> Seen[ServicePointDetail]:
        """Exchange the meter at a service point as it was seen, with the readings of both by OBIS code."""
        told = {
            "installed": installed,
            "at": at.isoformat(),
            "end_values": _texts(end_values),
            "start_values": _texts(start_values),
            "removed": removed,
            "reason": reason,
        }
        path = f"/v1/service-points/{quote(seen.document.code, '')}/exchanges"
        return self._transport.change_seen("POST", path, told, seen)

    def installations(self, **asked: Any) -> Iterator[Installation]:
        """Installations, by service_point, meter, and those that held `at` an instant."""
        return self._transport.pages("/v1/installations", "installations", Installation, asked)

    # Readings.

    def readings(self, meter: str, start: datetime, end: datetime, **asked: Any) -> Iterator[Reading]:
        """Readings from `start` (included) to `end` (not), by instant; `view="effective"` for usable ones."""
        path = f"/v1/meters/{quote(meter, '')}/readings"
        return self._transport.pages(path, "readings", Reading, {"from": start, "to": end, **asked})

    def consumption(
        self, meter: str, by: str, start: date, end: date, *, obis: str | None = None
    ) -> list[Period]:
        """By reading, hour, day, month or year, from the local day `start` to `end` (not included)."""
        asked = {"by": by, "from": start, "to": end, "obis": obis}
        path = f"/v1/meters/{quote(meter, '')}/consumption"
        return self._transport.get(path, Consumption, asked).periods

    # Billing.

    def billing_readings(self, period: str, *, cursor: int = 0) -> Iterator[BillingReading]:
        """Billing readings of a period behind `cursor`, in order; keep the cursor of the last one."""
        complete = False
        while not complete:
            page = self._transport.get(f"/v1/billing/{period}", BillingPage, {"cursor": cursor})
            yield from page.readings
            cursor, complete = page.next_cursor, page.complete

    def acknowledge(
        self, period: str, *, cursor: int, count: int, totals: Mapping[str, Decimal]
    ) -> Acknowledgement:
        """Say what is held of a period: totals by `<obis> <unit>`; 409 with both sides where they differ."""
        told = {"cursor": cursor, "count": count, "totals": _texts(totals)}
        path = f"/v1/billing/{period}/acknowledgements"
        return self._transport.change("POST", path, told, Acknowledgement)

    def export_readings(
        self, path: Path, start: datetime, end: datetime, *, file_format: str | None = None, **asked: Any
    ) -> None:
        """Write the readings of a range to a file; its format is by default as its name ends."""
        address = f"/v1/exports/readings.{_format(path, file_format)}"
        self._transport.download(path, address, {"from": start, "to": end, **asked})

    def export_billing_readings(
        self, path: Path, period: str, *, file_format: str | None = None, cursor: int | None = None
    ) -> None:
        """Write the highest versions of a period to a file; its format is by default as its name ends."""
        address = f"/v1/exports/billing/{period}.{_format(path, file_format)}"
        self._transport.download(path, address, {"cursor": cursor})


def _format(path: Path, file_format: str | None) -> str:
    return file_format or path.suffix.removeprefix(".")


def _texts(values: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: format(value, "f") for name, value in values.items()}
