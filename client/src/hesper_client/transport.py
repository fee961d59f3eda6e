"""Requests to `/v1` that may be sent again, and what is raised where one is not fulfilled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from hesper_client.documents import ProblemDocument

Document = TypeVar("Document")

_ATTEMPTS = 5
_FIRST_WAIT = 1.0  # seconds; twice as long each time where nobody says how long
_LONGEST_WAIT = 60.0
_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_IN_FLIGHT = "request-in-flight"


class ProblemError(Exception):
    """A request that was not fulfilled; `name` is of the catalogue at /problems."""

    def __init__(self, document: ProblemDocument) -> None:
        super().__init__(f"{document.status} {document.title}: {document.detail}")
        self.document = document
        self.status = document.status
        self.name = document.type.rpartition("/")[2]
        self.detail = document.detail


@dataclass(frozen=True, slots=True)
class Seen(Generic[Document]):
    """A document with its ETag, by which a change says which state it was made to."""

    document: Document
    etag: str


class Transport:
    """Requests over `http`, which holds address and key. They raise ProblemError, and httpx.TransportError
    where no answer came."""

    def __init__(
        self, http: httpx.Client, sleep: Callable[[float], None], new_key: Callable[[], str]
    ) -> None:
        self._http = http
        self._sleep = sleep
        self._new_key = new_key

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def pages(
        self, path: str, name: str, document: type[Document], asked: Mapping[str, Any]
    ) -> Iterator[Document]:
        """The members `name` of a list, page after page."""
        params = _params(asked)
        while True:
            answer = self.ask("GET", path, params=params)
            members = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
            yield from msgspec.json.decode(members[name], type=list[document])  # type: ignore[valid-type]
            cursor = msgspec.json.decode(members["next_cursor"])
            if cursor is None:
                return
            params["cursor"] = cursor

    def get(self, path: str, document: type[Document], asked: Mapping[str, Any] | None = None) -> Document:
        """The document at a path."""
        return msgspec.json.decode(self.ask("GET", path, params=_params(asked or {})).content, type=document)

    def seen(self, path: str, document: type[Document]) -> Seen[Document]:
        """The document at a path with its ETag."""
        return _seen(self.ask("GET", path), document)

    def change(self, method: str, path: str, told: Mapping[str, Any], document: type[Document]) -> Document:
        """The document that a change answers with; the change brings a key, and happens once."""
        return msgspec.json.decode(self._change(method, path, told, {}).content, type=document)

    def change_seen(
        self, method: str, path: str, told: Mapping[str, Any], before: Seen[Document]
    ) -> Seen[Document]:
        """A document after a change to the state of it that was seen."""
        answer = self._change(method, path, told, {"If-Match": before.etag})
        return _seen(answer, type(before.document))

    def download(self, path: Path, address: str, asked: Mapping[str, Any]) -> None:
        """The file at an address, whole or not at all."""
        partial = path.with_name(f"{path.name}.part")
        with self._http.stream("GET", address, params=_params(asked)) as answer:
            if not answer.is_success:
                answer.read()
                raise _problem(answer)
            try:
                partial.touch(mode=0o600)  # what people consumed is for this user alone
                with partial.open("wb") as file:
                    for piece in answer.iter_bytes():
                        file.write(piece)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def _change(
        self, method: str, path: str, told: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Response:
        return self.ask(method, path, json=told, headers={"Idempotency-Key": self._new_key(), **headers})

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer to a request that may be sent again."""
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


def _seen(answer: httpx.Response, document: type[Document]) -> Seen[Document]:
    return Seen(msgspec.json.decode(answer.content, type=document), answer.headers["etag"])


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
