"""Catalogue of problem types: what each means and what to do. Each has a page, `/problems/<name>`.

A name that is raised and not listed here fails `tests/api/web/test_problems.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from api.words.presentation import N_


@dataclass(frozen=True, slots=True)
class ProblemType:
    """Kind of problem; `status` is that of every answer of this type."""

    status: HTTPStatus
    title: str
    meaning: str
    remedy: str


TYPES: Mapping[str, ProblemType] = {
    # Who asks, and how much
    "unauthenticated": ProblemType(
        HTTPStatus.UNAUTHORIZED,
        N_("No valid API key"),
        N_("The request carried no API key, or one that is unknown, expired or revoked."),
        N_("Send `Authorization: Bearer <key>` or `X-API-Key: <key>`. `hesper key create` makes a key."),
    ),
    "forbidden": ProblemType(
        HTTPStatus.FORBIDDEN,
        N_("Not permitted"),
        N_("The key or the person is known, but lacks the right that this needs; the detail names it."),
        N_("Ask the Hesper administrator of your utility for a key with that scope, or for the role."),
    ),
    "form-expired": ProblemType(
        HTTPStatus.FORBIDDEN,
        N_("The form is too old"),
        N_("The form was not made for this session, so it may have been sent by another site."),
        N_("Open the page again and repeat the step."),
    ),
    "no-account": ProblemType(
        HTTPStatus.FORBIDDEN,
        N_("The session has no account"),
        N_("It was started with an API key, and the request concerns a person's account."),
        N_("Sign in as a person."),
    ),
    "no-password": ProblemType(
        HTTPStatus.FORBIDDEN,
        N_("The password is managed elsewhere"),
        N_("Your organisation's identity provider manages your password and second factor."),
        N_("Change them there."),
    ),
    "second-factor-set": ProblemType(
        HTTPStatus.CONFLICT,
        N_("A second factor is set already"),
        N_("An account can have one authenticator app at a time."),
        N_("`hesper user reset` removes it; then set up another."),
    ),
    "too-many-requests": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        N_("Too many requests"),
        N_("This address, key or person has sent more requests than are allowed at once."),
        N_("Wait as many seconds as Retry-After says, then send the request again."),
    ),
    "exports-busy": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        N_("Other exports are running"),
        N_("An export keeps the database busy while it is downloaded, so only a few may run at once."),
        N_("Wait as many seconds as Retry-After says, then send the request again."),
    ),
    # What was asked
    "bad-request": ProblemType(
        HTTPStatus.BAD_REQUEST,
        N_("The request cannot be read"),
        N_("It is not valid HTTP, or its body is cut short."),
        N_("Check what your client sends."),
    ),
    "not-found": ProblemType(
        HTTPStatus.NOT_FOUND,
        N_("Not found"),
        N_("Your utility has nothing by this name, or there is nothing at this address."),
        N_("See the list that the detail names; /v1/openapi.json lists all addresses."),
    ),
    "method-not-allowed": ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED,
        N_("Wrong method"),
        N_("The address does not accept this request's method."),
        N_("The Allow header lists the methods it accepts."),
    ),
    "body-too-large": ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        N_("The body is too large"),
        N_("The size of a request is limited; the detail gives the limit in bytes."),
        N_("Send less at a time."),
    ),
    "invalid-request": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The request is not valid"),
        N_("A parameter or a field of the body is missing, unknown or malformed; `errors` says which."),
        N_("Correct everything listed in `errors` and send the request again."),
    ),
    # Changes
    "if-match-required": ProblemType(
        HTTPStatus.PRECONDITION_REQUIRED,
        N_("If-Match is required"),
        N_("A change must name the version it is based on, so that it does not overwrite somebody else's."),
        N_("Get the resource, then send the change with `If-Match: <its ETag>`."),
    ),
    "changed-meanwhile": ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        N_("Changed in the meantime"),
        N_("The current version is not the one that the ETag in If-Match belongs to."),
        N_("Get it again, review it, and send the change with the new ETag."),
    ),
    "idempotency-key-reused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The Idempotency-Key is in use"),
        N_("A different request was sent with this key before."),
        N_("Use a new key for each change, and the same key only to repeat the same request."),
    ),
    "request-in-flight": ProblemType(
        HTTPStatus.CONFLICT,
        N_("The first request is still in progress"),
        N_("An earlier request with this Idempotency-Key has not been answered yet."),
        N_("Send it again in a second: you will get the answer to the first."),
    ),
    "already-registered": ProblemType(
        HTTPStatus.CONFLICT,
        N_("Already registered"),
        N_("There is one by this name already, and adding does not change it."),
        N_("Change the existing one, or use another name."),
    ),
    "registry-refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("Refused by the registry"),
        N_("The change breaks a rule of the registry or refers to something that is not registered."),
        N_("The detail names the entry and says what to write instead."),
    ),
    # Events
    "too-many-streams": ProblemType(
        HTTPStatus.TOO_MANY_REQUESTS,
        N_("Too many event streams"),
        N_("An event stream holds a place until it ends, and each caller has a limited number of places."),
        N_("Close one, or use one stream for several purposes."),
    ),
    # Gateways
    "too-many-commands": ProblemType(
        HTTPStatus.CONFLICT,
        N_("Too many commands are waiting"),
        N_("A gateway handles one command at a time, and several are waiting already."),
        N_("Wait until it has answered them or they have expired."),
    ),
    "configuration-refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The gateway would refuse the configuration"),
        N_("The text breaks a rule that the gateway checks; `errors` says where and how."),
        N_("Correct everything listed in `errors`. A preview shows it without sending anything."),
    ),
    # Billing
    "cursor-ahead": ProblemType(
        HTTPStatus.CONFLICT,
        N_("The cursor is too far ahead"),
        N_("No page of this period ends at the acknowledged cursor."),
        N_("Pull the period and acknowledge its last cursor."),
    ),
    "control-totals-differ": ProblemType(
        HTTPStatus.CONFLICT,
        N_("Counts or totals differ"),
        N_("Your data do not match what was delivered; `yours` and `ours` show both sides."),
        N_(
            "Pull the period again from cursor 0, keep the highest version of each service point and "
            "register, and acknowledge again. For a message, count and add up all its readings."
        ),
    ),
    "finding-change-refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The finding cannot be changed this way"),
        N_("The change is empty, names an assignee without a role here, or resolves without a note."),
        N_("Correct what the detail names and send the change again."),
    ),
    "edit-refused": ProblemType(
        HTTPStatus.CONFLICT,
        N_("The edit is not possible"),
        N_("There is no such reading, or one already; nothing to undo; or authors approve their own edit."),
        N_("Check the reading and its edits (/v1/edits), and do what the detail says."),
    ),
    "second-person-needed": ProblemType(
        HTTPStatus.CONFLICT,
        N_("A second person has to approve it"),
        N_("Whoever drafted a month, or edited a reading that it rests on, cannot approve it."),
        N_("Have somebody else with the right `billing:approve` approve it."),
    ),
    "period-busy": ProblemType(
        HTTPStatus.CONFLICT,
        N_("Somebody else is working on the month"),
        N_("One person at a time drafts or approves a month, and months of a utility are approved in turn."),
        N_("Wait until the person whom the detail names is done, then send the request again."),
    ),
    "nothing-to-approve": ProblemType(
        HTTPStatus.CONFLICT,
        N_("There is no suitable draft"),
        N_("The period has no draft, the draft is incomplete, or something has changed since."),
        N_("Check /v1/closes, and request a new draft of the period."),
    ),
    "not-delivered": ProblemType(
        HTTPStatus.CONFLICT,
        N_("The message was not delivered"),
        N_("It is still waiting to be sent, or was given up, so nobody can have received it."),
        N_("Acknowledge it once its state is `delivered`."),
    ),
    # Readings that people hand in
    "reading-too-low": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The reading is too low"),
        N_("A register does not run backwards: the value is below an earlier reading."),
        N_("Check that it is the right meter and read it again."),
    ),
    "reading-too-high": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The reading is too high"),
        N_("More would have been used than is plausible for this register, or than a later reading shows."),
        N_(
            "Check the decimal point; if the value is right, have an inspector send it with "
            '`"confirmed": true`.'
        ),
    ),
    "wrong-digits": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The number of digits is wrong"),
        N_("The value has more digits than the meter has."),
        N_("Read it again and leave out the digits marked as decimals."),
    ),
    "meter-unknown": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("Another meter is installed there"),
        N_("The named meter was not installed at this service point at that time."),
        N_("Check the number on the meter; the detail lists the meters that were installed."),
    ),
    "register-unclear": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The register is ambiguous"),
        N_("The service point has more than one billed register."),
        N_("Name the meter and the register (obis); the detail lists them."),
    ),
    "read-in-future": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The time is in the future"),
        N_("A meter cannot have been read at that time."),
        N_("Give the time of the reading with its offset from UTC."),
    ),
    "read-long-ago": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("The reading is too old"),
        N_("A reading has to be handed in within a few days."),
        N_("Read the meter again."),
    ),
    "window-closed": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        N_("Readings are not accepted today"),
        N_("The utility accepts readings on certain days of the month; the detail says which."),
        N_("Read the meter on one of those days."),
    ),
    "reading-exists": ProblemType(
        HTTPStatus.CONFLICT,
        N_("There is a reading for this time already"),
        N_("Another value is stored for this register and time, and readings are never altered."),
        N_("Give the time of your own reading."),
    ),
    # Ours
    "database-unavailable": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        N_("The database does not answer"),
        N_("It cannot be reached right now, or the query took too long."),
        N_(
            "Wait as many seconds as Retry-After says and try again; if the query took too long, ask for "
            "a shorter time span or a smaller page."
        ),
    ),
    "internal-error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        N_("Internal error"),
        N_("Something went wrong on our side; it has been logged."),
        N_("Try again; if it persists, report it to the operator with the time."),
    ),
}


def path_of(name: str) -> str:
    """Address of the page of a problem, which is its type."""
    return f"/problems/{name}"
