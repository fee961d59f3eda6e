"""`Idempotency-Key`: a change that is asked for again, since its answer was lost, is made once.

A route that changes something, and would do so again, says `dependencies=[requires(...), ONCE]`. The same key
with the same request gets the answer of the first one, to the byte, for 24 hours; with another request it is
a 422, and 409 while the first is not answered. Keys belong to whoever sent them. The answer is kept in the
transaction of the change, so that there are both or neither; a request that was refused changed nothing, and
may be mended and sent again with its key.
"""

import hashlib
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response

from api.identity.authentication import Authenticated, Store
from api.identity.callers import KeyHolder
from api.v1.routing import Answered
from api.web.problems import Problem
from store.access import idempotency
from store.access.idempotency import InFlightError, KeptAnswer

_KEPT_HEADERS = ("content-type", "etag", "location")

Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=100,
        description="Your name for this change, such as a UUID: repeating it changes nothing a second time.",
        examples=["7f9c2ba4-e88f-4d1a-a2f3-9d3c5f1b7e60"],
    ),
]


async def _fingerprint(request: Request) -> bytes:
    """SHA-256 of the method, the address and the body."""
    address = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(address.encode() + await request.body()).digest()


async def _once(
    request: Request,
    who: Authenticated,
    store: Store,
    fingerprint: Annotated[bytes, Depends(_fingerprint)],
    idempotency_key: Key = None,
) -> None:
    if idempotency_key is None:
        return
    assert isinstance(who, KeyHolder), "only /v1 takes the header"
    utility_id, owner, key = who.utility.id, who.subject, idempotency_key
    try:
        before = idempotency.claim(store, utility_id, owner, key)
    except InFlightError:
        raise Problem(
            HTTPStatus.CONFLICT,
            "request-in-flight",
            "The first request with this Idempotency-Key is still worked on. Send it again in a second.",
            headers={"Retry-After": "1"},
        ) from None
    if before is not None:
        if before.request_hash != fingerprint:
            raise reused()
        raise Answered(
            Response(before.body, before.status, {**before.headers, "Idempotency-Replayed": "true"})
        )

    def keep(response: Response) -> None:
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        answer = KeptAnswer(fingerprint, response.status_code, headers, bytes(response.body))
        idempotency.keep(store, utility_id, owner, key, answer)

    request.state.keep_answer = keep


def reused() -> Problem:
    """A 422 for a key that came with another request."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "Something else was asked for with this Idempotency-Key. Use a new key for each change.",
    )


ONCE: Any = Depends(_once)
