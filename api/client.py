"""A client of `/v1` for programs in Python: typed documents, pages as iterators, exactly one of each change.

    with Client("https://hesper.example", key) as hesper:
        for meter in hesper.meters(site="house-1"):
            print(meter.id, meter.verified_until)

Every change brings its own Idempotency-Key, so that it is sent again safely when its answer was lost. What is
answered with 429 or 503 is sent again after as long as Retry-After says. Needs httpx and msgspec, and nothing
of the server.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from api.client_documents import (
    Acknowledgement,
    BillingPage,
    BillingReading,
    Installation,
    Meter,
    MeterDetail,
    Period,
    ProblemDocument,
    Reading,
    ServicePoint,
    ServicePointDetail,
    Site,
)

Document = TypeVar("Document")

_ATTEMPTS = 5
_FIRST_WAIT = 1.0  # seconds; twice as long each time where nobody says how long
_LONGEST_WAIT = 60.0
_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_IN_FLIGHT = "request-in-flight"


class ProblemError(Exception):
    """What was asked for was not done; `name` is of the catalogue at /problems, `document` has all of it."""

    def __init__(self, document: ProblemDocument) -> None:
        super().__init__(f"{document.status} {document.title}: {document.detail}")
        self.document = document
        self.status = document.status
        self.name = document.type.rpartition("/")[2]
        self.detail = document.detail


@dataclass(frozen=True, slots=True)
class Seen(Generic[Document]):
    """A document with its ETag, by which a change says what it is of."""

    document: Document
    etag: str


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
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout, transport=transport
        )
        self._sleep = sleep
        self._new_key = new_key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._http.close()

    # The registry. Filters and `fields` are those of the API; sites and meters come in order of their codes.

    def sites(self, **asked: Any) -> Iterator[Site]:
        """All sites."""
        return self._pages("/v1/sites", "sites", Site, asked)

    def meters(self, **asked: Any) -> Iterator[Meter]:
        """Meters, by medium, site, gateway, service_point, account, verification_due_before, or words (q)."""
        return self._pages("/v1/meters", "meters", Meter, asked)

    def meter(self, meter: str) -> Seen[MeterDetail]:
        """One meter."""
        return self._seen(f"/v1/meters/{quote(meter, '')}", MeterDetail)

    def change_meter(self, seen: Seen[MeterDetail], *, reason: str, **fields: Any) -> Seen[MeterDetail]:
        """Change fields of a meter as it was seen; 412 if somebody else did meanwhile."""
        path = f"/v1/meters/{quote(seen.document.id, '')}"
        answer = self._change("PATCH", path, {"reason": reason, **fields}, etag=seen.etag)
        return _seen(answer, MeterDetail)

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
        self._change("POST", f"/v1/meters/{quote(meter, '')}/verifications", told)

    def service_points(self, **asked: Any) -> Iterator[ServicePoint]:
        """Service points, by site, medium, account."""
        return self._pages("/v1/service-points", "service_points", ServicePoint, asked)

    def service_point(self, code: str) -> Seen[ServicePointDetail]:
        """One service point with its installations."""
        return self._seen(f"/v1/service-points/{quote(code, '')}", ServicePointDetail)

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
        return _seen(self._change("POST", path, told, etag=seen.etag), ServicePointDetail)

    def installations(self, **asked: Any) -> Iterator[Installation]:
        """Installations, by service_point, meter, and those that held `at` an instant."""
        return self._pages("/v1/installations", "installations", Installation, asked)

    # Readings.

    def readings(self, meter: str, start: datetime, end: datetime, **asked: Any) -> Iterator[Reading]:
        """Readings from `start` (included) to `end` (not), by instant; `view="effective"` for usable ones."""
        path = f"/v1/meters/{quote(meter, '')}/readings"
        return self._pages(path, "readings", Reading, {"from": start, "to": end, **asked})

    def consumption(
        self, meter: str, by: str, start: date, end: date, *, obis: str | None = None
    ) -> list[Period]:
        """By reading, hour, day, month or year, from the local day `start` to `end` (not included)."""
        asked = {"by": by, "from": start, "to": end, "obis": obis}
        answer = self._ask("GET", f"/v1/meters/{quote(meter, '')}/consumption", params=_params(asked))
        return msgspec.json.decode(_member(answer, "periods"), type=list[Period])

    # Billing.

    def billing_readings(self, period: str, *, cursor: int = 0) -> Iterator[BillingReading]:
        """What was issued of a period behind `cursor`, in order; keep the cursor of the last one."""
        complete = False
        while not complete:
            answer = self._ask("GET", f"/v1/billing/{period}", params={"cursor": cursor})
            page = msgspec.json.decode(answer.content, type=BillingPage)
            yield from page.readings
            cursor, complete = page.next_cursor, page.complete

    def acknowledge(
        self, period: str, *, cursor: int, count: int, totals: Mapping[str, Decimal]
    ) -> Acknowledgement:
        """Say what is held of a period: totals by `<obis> <unit>`; 409 with both sides where they differ."""
        told = {"cursor": cursor, "count": count, "totals": _texts(totals)}
        answer = self._change("POST", f"/v1/billing/{period}/acknowledgements", told)
        return msgspec.json.decode(answer.content, type=Acknowledgement)

    def export_readings(self, path: Path, start: datetime, end: datetime, **asked: Any) -> None:
        """Write the readings of a range to a file, .csv or .parquet by its name."""
        self._download(path, f"/v1/exports/readings{path.suffix}", {"from": start, "to": end, **asked})

    def export_billing_readings(self, path: Path, period: str, *, cursor: int | None = None) -> None:
        """Write the highest versions of a period to a file, .csv or .parquet by its name."""
        self._download(path, f"/v1/exports/billing/{period}{path.suffix}", {"cursor": cursor})

    # How all of it is asked for.

    def _pages(
        self, path: str, name: str, document: type[Document], asked: Mapping[str, Any]
    ) -> Iterator[Document]:
        params = _params(asked)
        while True:
            answer = self._ask("GET", path, params=params)
            members = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
            yield from msgspec.json.decode(members[name], type=list[document])  # type: ignore[valid-type]
            cursor = msgspec.json.decode(members["next_cursor"])
            if cursor is None:
                return
            params["cursor"] = cursor

    def _seen(self, path: str, document: type[Document]) -> Seen[Document]:
        return _seen(self._ask("GET", path), document)

    def _change(
        self, method: str, path: str, told: Mapping[str, Any], *, etag: str | None = None
    ) -> httpx.Response:
        headers = {"Idempotency-Key": self._new_key()} | ({"If-Match": etag} if etag else {})
        return self._ask(method, path, json=told, headers=headers)

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer to a request that may be sent again. Raises ProblemError, httpx.TransportError."""
        for left in range(_ATTEMPTS - 1, -1, -1):
            wait = _FIRST_WAIT * 2 ** (_ATTEMPTS - 1 - left)
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError:
                if not left:
                    raise
            else:
                if answer.is_success:
                    return answer
                problem = _problem(answer)
                if not left or not _worth_repeating(problem):
                    raise problem
                told = answer.headers.get("retry-after", "")
                wait = float(told) if told.isdecimal() else wait  # a proxy may give an instant instead
            self._sleep(min(wait, _LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def _download(self, path: Path, address: str, asked: Mapping[str, Any]) -> None:
        """The file whole, or not at all."""
        partial = path.with_name(f"{path.name}.part")
        with self._http.stream("GET", address, params=_params(asked)) as answer:
            if not answer.is_success:
                answer.read()
                raise _problem(answer)
            try:
                with partial.open("wb") as file:
                    for piece in answer.iter_bytes():
                        file.write(piece)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)


def _seen(answer: httpx.Response, document: type[Document]) -> Seen[Document]:
    return Seen(msgspec.json.decode(answer.content, type=document), answer.headers["etag"])


def _member(answer: httpx.Response, name: str) -> msgspec.Raw:
    return msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])[name]


def _problem(answer: httpx.Response) -> ProblemError:
    try:
        return ProblemError(msgspec.json.decode(answer.content, type=ProblemDocument))
    except msgspec.DecodeError:  # from a proxy in between
        return ProblemError(
            ProblemDocument("about:blank", answer.reason_phrase, answer.status_code, answer.text[:500])
        )


def _worth_repeating(problem: ProblemError) -> bool:
    return problem.status in _AGAIN or problem.name == _IN_FLIGHT


def _params(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an address: instants and days as ISO 8601, and those that are None left out."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in asked.items()
        if value is not None
    }


def _texts(values: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: format(value, "f") for name, value in values.items()}
