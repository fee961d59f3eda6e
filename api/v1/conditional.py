"""ETags: no answer is sent twice (`If-None-Match`), no change made over somebody else's (`If-Match`).

A tag is the hash of a document as it is answered without `fields`, so it is the same in every process. What
changes with every reading is in no document that can be changed: it has an address of its own.

    def get_site(..., asked: Conditional, only: ...) -> Site:
        return asked.answer(document, only)

    def change_site(..., match: Match) -> Site:
        match.check(document_as_it_is)   # with its row locked: nobody comes between
        ...
        return match.answer(document_as_it_became)
"""

import hashlib
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Response
from pydantic import BaseModel

from api.v1.fields import Document, Fields
from api.v1.routing import Answered
from api.web.problems import Problem

_TAGS = Header(max_length=1000, examples=['"5f2d1c0a9b8e7d6c5f2d1c0a9b8e7d6c"'])
_ANY = "*"

UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As it was: the ETag is still the same."}}

Changed = TypeVar("Changed", bound=BaseModel)


def etag(document: BaseModel) -> str:
    """The strong tag of a document: of its content, all of it."""
    return f'"{hashlib.sha256(document.model_dump_json().encode()).hexdigest()[:32]}"'


def tagged(response: Response, document: Changed) -> Changed:
    """The document, and its tag among the headers of the response: of what was added."""
    response.headers["ETag"] = etag(document)
    return document


class _Conditional:
    """`If-None-Match` of a GET."""

    def __init__(self, response: Response, if_none_match: str | None) -> None:
        self._response = response
        self._known = _listed(if_none_match)

    def answer(self, document: Document, only: Fields = Fields()) -> Document:  # noqa: B008 - it is frozen
        """Fields that were asked for, with the document's tag; 304 by raising Answered to whoever has it."""
        tag = etag(document)
        # compared weakly, as RFC 9110 has it for this header: a proxy that compresses makes tags weak
        if _ANY in self._known or tag in {known.removeprefix("W/") for known in self._known}:
            raise Answered(Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag}))
        self._response.headers["ETag"] = tag
        return only.of(document)


class _Match:
    """`If-Match` of a change, which is not made without."""

    def __init__(self, response: Response, if_match: str | None) -> None:
        self._response = response
        self._given = if_match

    def check(self, current: BaseModel) -> None:
        """That the change is of what is there. Raises Problem: 428 without the header, 412 if it is not."""
        if self._given is None:
            raise Problem(
                HTTPStatus.PRECONDITION_REQUIRED,
                "if-match-required",
                "Get what you want to change, and send the change with `If-Match: <its ETag>`.",
            )
        tag, given = etag(current), _listed(self._given)
        if _ANY not in given and tag not in given:
            raise Problem(
                HTTPStatus.PRECONDITION_FAILED,
                "changed-meanwhile",
                "It is not what your ETag was of: somebody changed it since. Get it again, look at what is "
                "there now, and send your change with the new ETag.",
                headers={"ETag": tag},
            )

    def answer(self, document: Changed) -> Changed:
        """The document as it became, with its tag."""
        return tagged(self._response, document)


def _listed(header: str | None) -> set[str]:
    return {tag.strip() for tag in (header or "").split(",") if tag.strip()}


async def _conditional(
    response: Response, if_none_match: Annotated[str | None, _TAGS] = None
) -> _Conditional:
    return _Conditional(response, if_none_match)


async def _match(response: Response, if_match: Annotated[str | None, _TAGS] = None) -> _Match:
    return _Match(response, if_match)


Conditional = Annotated[_Conditional, Depends(_conditional)]
Match = Annotated[_Match, Depends(_match)]
