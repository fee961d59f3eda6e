"""The catalogue of problem types: what each means and what to do. Each has a page, `/problems/<name>`.

A name that is raised and not listed here fails `tests/api/web/test_problems.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class ProblemType:
    """`status` is that of every answer of this type."""

    status: HTTPStatus
    title: str
    meaning: str
    remedy: str


TYPES: Mapping[str, ProblemType] = {
    # Who asks, and how much
    "unauthenticated": ProblemType(
        HTTPStatus.UNAUTHORIZED,
        "No valid API key",
        "No API key came with the request, or one that is not known, has expired or was revoked.",
        "Send `Authorization: Bearer <key>` or `X-API-Key: <key>`. `hesper key create` makes a key.",
    ),
    "forbidden": ProblemType(
        HTTPStatus.FORBIDDEN,
        "The right is missing",
        "The key or the person is known and does not have the right that this takes; the detail names it.",
        "Ask whoever administers Hesper at your utility for a key with that scope, or for the role.",
    ),
    "form-expired": ProblemType(
        HTTPStatus.FORBIDDEN,
        "The form is too old",
        "The form was not made for this session, so that another site may have sent it.",
        "Open the page again and repeat what you did.",
    ),
    "no-account": ProblemType(
        HTTPStatus.FORBIDDEN,
        "The session belongs to no person",
        "It began with an API key, and what was asked for is of a person's account.",
        "Sign in as a person.",
    ),
    "no-password": ProblemType(
        HTTPStatus.FORBIDDEN,
        "The password is kept elsewhere",
        "Your organisation's provider keeps your password and second factor.",
        "Change them there.",
    ),
    "second-factor-set": ProblemType(
        HTTPStatus.CONFLICT,
        "There is a second factor already",
        "An account has one authenticator app at a time.",
        "`hesper user reset` takes it away, and another can be set up.",
    ),
    "too-many-requests": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many requests",
        "More requests came at once from this address, key or person than are taken.",
        "Wait as many seconds as Retry-After says, and send the request again.",
    ),
    "exports-busy": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Other exports are running",
        "An export keeps the database busy while it is downloaded, so that few may run at once.",
        "Wait as many seconds as Retry-After says, and send the request again.",
    ),
    # What was asked
    "bad-request": ProblemType(
        HTTPStatus.BAD_REQUEST,
        "The request cannot be read",
        "It is not HTTP as the server understands it, or its body breaks off.",
        "Look at what your client sends.",
    ),
    "not-found": ProblemType(
        HTTPStatus.NOT_FOUND,
        "Not known here",
        "Your utility has nothing of this name, or nothing answers at this address.",
        "Look at the list that the detail names; /v1/openapi.json lists all addresses.",
    ),
    "method-not-allowed": ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Another method is needed",
        "The address does not take the method of the request.",
        "The header Allow names those that it takes.",
    ),
    "body-too-large": ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is too large",
        "A request has a limit of size; the detail says how many bytes.",
        "Send less at once.",
    ),
    "invalid-request": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request is not valid",
        "A parameter or a field of the body is missing, unknown, or not of its form; `errors` says which.",
        "Mend each of `errors` and send the request again.",
    ),
    # Changes
    "if-match-required": ProblemType(
        HTTPStatus.PRECONDITION_REQUIRED,
        "The change has to say what it is of",
        "A change is made to what you have seen, so that it goes over nobody else's.",
        "Get what you want to change, and send the change with `If-Match: <its ETag>`.",
    ),
    "changed-meanwhile": ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        "It was changed meanwhile",
        "What is there now is not what the ETag in If-Match was of.",
        "Get it again, look at what is there now, and send the change with the new ETag.",
    ),
    "idempotency-key-reused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The Idempotency-Key is taken",
        "Another request was sent with this key before.",
        "Use a new key for each change, and the same one only to repeat the same request.",
    ),
    "request-in-flight": ProblemType(
        HTTPStatus.CONFLICT,
        "The first request is still worked on",
        "A request with this Idempotency-Key came before and is not answered yet.",
        "Send it again in a second: the answer will be that of the first.",
    ),
    "already-registered": ProblemType(
        HTTPStatus.CONFLICT,
        "It is registered already",
        "There is one of this name, and adding does not change it.",
        "Change the one that is there, or use another name.",
    ),
    "registry-refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The registry does not take it",
        "The change breaks a rule of the registry, or refers to something that is not registered.",
        "The detail says which entry and what to write instead.",
    ),
    # Events
    "too-many-streams": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many streams of events are open",
        "Each stream of events holds a place until it ends, and a caller has some of them at a time.",
        "Close one, or use one stream for several purposes.",
    ),
    # Gateways
    "too-many-commands": ProblemType(
        HTTPStatus.CONFLICT,
        "Too many commands wait",
        "A gateway does one thing after the other, and some commands wait for it already.",
        "Wait until it has answered them, or they expire.",
    ),
    "configuration-refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The gateway would refuse the configuration",
        "The text breaks a rule that its gateway checks; `errors` says where and how.",
        "Mend each of `errors`. A preview shows them without sending anything.",
    ),
    # Billing
    "cursor-ahead": ProblemType(
        HTTPStatus.CONFLICT,
        "The cursor is ahead",
        "No page of this period ended with the cursor that is acknowledged.",
        "Pull the period, and acknowledge its last cursor.",
    ),
    "control-totals-differ": ProblemType(
        HTTPStatus.CONFLICT,
        "Count or sums differ",
        "What you hold is not what was given; `yours` and `ours` show both sides.",
        "Pull the period again from cursor 0, keep the highest version of each service point and register, "
        "and acknowledge again. Of a message, count and sum all its readings as they are in it.",
    ),
    "finding-change-refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The finding cannot be changed like this",
        "The change says nothing, names an assignee with no role here, or settles a finding with no note.",
        "Mend what the detail names, and send the change again.",
    ),
    "edit-refused": ProblemType(
        HTTPStatus.CONFLICT,
        "The edit is not possible",
        "There is no such reading, or one already; nothing to undo; or its approval is by its own author.",
        "Look at the reading and its edits (/v1/edits), and do what the detail says.",
    ),
    "second-person-needed": ProblemType(
        HTTPStatus.CONFLICT,
        "Another person has to approve it",
        "Whoever drafted a month, or edited a reading that it rests on, does not approve it.",
        "Let somebody else approve it who has the right `billing:approve`.",
    ),
    "nothing-to-approve": ProblemType(
        HTTPStatus.CONFLICT,
        "There is no draft that this can be done with",
        "Nothing of the period is drafted, or the draft is not complete, or something changed since.",
        "Look at /v1/closes, and ask for a new draft of the period.",
    ),
    "not-delivered": ProblemType(
        HTTPStatus.CONFLICT,
        "The message was not delivered",
        "It waits to be sent, or was given up, so that nobody can have it.",
        "Acknowledge it once its state is delivered.",
    ),
    # Readings that people hand in
    "reading-too-low": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The reading is too low",
        "A counter does not run backwards: the value is below one that was read before.",
        "Check that it is the right meter, and read it again.",
    ),
    "reading-too-high": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The reading is too high",
        "More would have been used than is plausible for this register, or than a later reading shows.",
        'Check the decimal point; if the value is right, let an inspector send it with `"confirmed": true`.',
    ),
    "wrong-digits": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The number of digits is wrong",
        "The value has more digits than the meter shows.",
        "Read it again, and leave out the digits that are set off as decimals.",
    ),
    "meter-unknown": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Another meter is installed there",
        "The meter that is named was not installed at this service point at that instant.",
        "Compare the number on the meter; the detail names those that were.",
    ),
    "register-unclear": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Several registers could be meant",
        "The service point has more than one billed register.",
        "Name the meter and the register (obis); the detail lists them.",
    ),
    "read-in-future": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The instant is still to come",
        "A meter cannot have been read then.",
        "Give the instant at which it was read, with its offset from UTC.",
    ),
    "read-long-ago": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "It was read too long ago",
        "A reading is handed in within some days.",
        "Read the meter again.",
    ),
    "window-closed": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Readings are not taken today",
        "The utility takes readings on some days of the month; the detail says which.",
        "Read the meter on one of those days.",
    ),
    "reading-exists": ProblemType(
        HTTPStatus.CONFLICT,
        "There is a reading of this instant",
        "Another value is stored for the register and instant, and readings are never altered.",
        "Give the instant of your own reading.",
    ),
    # Ours
    "database-unavailable": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer",
        "It cannot be reached now, or the question took it too long.",
        "Wait as many seconds as Retry-After says and try again; if it was too long, ask for a shorter time "
        "or a smaller page.",
    ),
    "internal-error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "A fault of ours",
        "Something happened that should not, and it is in the log.",
        "Try again; if it lasts, report it to the operator with the time.",
    ),
}


def path_of(name: str) -> str:
    """The type of a problem: where its page is."""
    return f"/problems/{name}"
