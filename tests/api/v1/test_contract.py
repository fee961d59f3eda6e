"""The API does what its OpenAPI says, for every role: no server error, no answer outside of the schema."""

from dataclasses import replace
from typing import Any

import psycopg
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import settings as examples
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.web.app import create_app
from api.web.settings import ApiSettings
from metering.access import UserRole, scopes_of
from store.access.api_keys import issue
from tests.api.conftest import Clock
from tests.api.seeding import PERIOD, Seeded

_EXAMPLES = 10  # of each operation, each sent by every role
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_every_role_is_answered_by_the_schema_whatever_it_sends(
    settings: ApiSettings, clock: Clock, connection: psycopg.Connection, ours: Seeded
) -> None:
    keys = {role: issue(connection, "alpha", role, scopes=scopes_of({role})) for role in UserRole}
    connection.commit()
    unlimited = replace(settings, caller_burst=10**6, address_burst=10**6)
    known = {
        "meter_id": ours.meters[0],
        "period": PERIOD,
        "reading_id": ours.bills[0],
        "measured_at": "2026-11-21T17:00:00Z",
        "run": 1,
        "finding_id": ours.finding,
        "edit_id": ours.edit,
        "entry_id": ours.waiting,
        "request_id": ours.request,
        "code": "flat-01-8",
        "site": "house-1",
        "gateway": "gw-lindenhof",
        "installation_id": ours.installations[0],
        "command_id": 1,
        "version": 1,
    }
    tried = []
    with TestClient(
        create_app(unlimited, clock=clock), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        client.headers["X-API-Key"] = keys[UserRole.VIEWER]
        schema = schemathesis.openapi.from_dict(client.get("/v1/openapi.json").json())
        for found in schema.get_all_operations():
            operation = found.ok()
            tried.append(operation.label)
            real = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}

            @examples(
                max_examples=_EXAMPLES,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            @given(
                st.one_of(
                    operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
                    operation.as_strategy(generation_mode=GenerationMode.POSITIVE, path_parameters=real),
                    operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
                )
            )
            def check(case: schemathesis.Case) -> None:
                for role, key in keys.items():  # to invent a case costs more than to send it
                    note(f"as {role}")
                    client.headers["X-API-Key"] = key
                    case.validate_response(_send(client, case), checks=_CHECKS)

            check()
    assert len(tried) >= 10, tried


def _send(client: TestClient, case: schemathesis.Case) -> Any:
    sent = case.as_transport_kwargs(base_url="http://127.0.0.1")
    invented = {"x-api-key", "authorization"}  # the key that comes along is the role's
    headers = {name: value for name, value in sent["headers"].items() if name.lower() not in invented}
    if sent["method"] != "GET":
        headers["If-Match"] = "*"  # or every change would end there
    body = {name: sent[name] for name in ("json", "data", "content") if name in sent}
    if isinstance(body.get("data"), bytes | str):
        body["content"] = body.pop("data")
    return client.request(sent["method"], sent["url"], params=sent.get("params"), headers=headers, **body)
