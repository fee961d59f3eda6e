"""`/v1/gateways/...`: how gateways are, what they are asked to do, and what they are to run."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.web.app import create_app
from api.web.settings import ApiSettings
from hesper.gateway_check import check_configuration
from metering.access import Scope
from store.access.api_keys import issue
from store.gateways import downlink
from store.gateways.downlink import GatewayReply
from tests.api.conftest import Clock
from tests.api.gateways import GATEWAY, MINUTE, TOML, keep_health, told
from tests.api.seeding import NOW, Seeded

AT = f"/v1/gateways/{GATEWAY}"


@pytest.fixture
def engineer(
    settings: ApiSettings, clock: Clock, connection: psycopg.Connection, ours: Seeded
) -> Iterator[TestClient]:
    """A program that may ask gateways, at an API that can judge configurations."""
    key = issue(connection, "alpha", "console", scopes={Scope.METERS_READ, Scope.GATEWAYS_WRITE})
    connection.commit()
    app = create_app(settings, clock=clock, check=check_configuration)
    with TestClient(app, base_url="http://127.0.0.1", headers={"X-API-Key": key}) as client:
        yield client


def gateway_id(connection: psycopg.Connection, ours: Seeded) -> int:
    row = connection.execute(
        "select id from gateways where utility_id = %s and code = %s", (ours.id, GATEWAY)
    ).fetchone()
    assert row is not None
    return int(row[0])


def answered(
    connection: psycopg.Connection, command_id: int, result: dict[str, Any], detail: str = "done"
) -> None:
    """Let the gateway have done a command."""
    row = connection.execute("select wire_id from gateway_commands where id = %s", (command_id,)).fetchone()
    assert row is not None
    reply = GatewayReply(str(row[0]), NOW, "done", detail, result)
    assert downlink.keep_reply(connection, "alpha", GATEWAY, reply)
    connection.commit()


def configuration(ours: Seeded, **changes: str) -> str:
    text = TOML.format(utility="alpha", meter=ours.meters[0])
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def put(client: TestClient, toml: str, tag: str | None = None) -> Any:
    tag = tag or client.get(f"{AT}/configuration").headers["etag"]
    return client.put(
        f"{AT}/configuration", json={"toml": toml, "reason": "a better one"}, headers={"If-Match": tag}
    )


def test_the_last_health_message_is_told_with_lines_versions_and_connection(client: TestClient) -> None:
    document = client.get(f"{AT}/health").json()
    assert (document["state"], document["states"][0]["state"]) == ("online", "online")
    assert document["versions"]["sqlite"] == "3.46.1"
    health = document["health"]
    assert (health["buffered_readouts"], health["cpu_celsius"], health["config_version"]) == (3, 48.5, "1")
    assert health["clock_ahead"] == pytest.approx(-0.2)
    lines = client.get(f"{AT}/lines").json()["lines"]
    assert [(line["line"], line["utilisation"]) for line in lines] == [("heat", 0.94), ("water", 0.31)]


def test_the_history_is_read_page_by_page_backwards(client: TestClient) -> None:
    instants = []
    asked = {"to": NOW.isoformat(), "limit": "20"}
    while True:
        page = client.get(f"{AT}/health/history", params=asked).json()
        instants += [one["at"] for one in page["health"]]
        if page["next_cursor"] is None:
            break
        asked = {"from": (NOW - timedelta(hours=24)).isoformat(), "to": page["next_cursor"], "limit": "20"}
    assert len(instants) == len(set(instants)) == 49
    assert instants == sorted(instants, reverse=True)
    assert client.get(f"{AT}/health/history", params={"from": "2020-01-01T00:00:00Z"}).status_code == 422


def test_meters_have_their_error_counts_and_the_polls_that_were_missed(
    client: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    gateway = gateway_id(connection, ours)
    connection.execute(
        """
        insert into missed_polls (meter_id, due_at, reason, gateway_id, utility_id)
        select m.id, %(now)s - n * interval '1 hour', 'no answer', %(gateway)s, m.utility_id
        from meters m, generate_series(1, 30) n where m.code = %(meter)s
        """,
        {"now": NOW, "gateway": gateway, "meter": ours.meters[-1]},
    )
    connection.commit()
    meters = {one["meter"]: one for one in client.get(f"{AT}/meters").json()["meters"]}
    assert set(meters) >= set(ours.meters)
    worst, best = meters[ours.meters[-1]], meters[ours.meters[0]]
    assert (worst["polls"], worst["errors"], worst["failures"]) == (480, 96, 4)
    assert (worst["missed_24h"], worst["missed_reason"]) == (24, "no answer")
    assert (best["missed_24h"], best["missed_reason"], best["registered"]) == (0, None, True)


def test_a_meter_that_only_the_gateway_knows_is_listed_too(
    client: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    keep_health(connection, gateway_id(connection, ours), told(["KAM-99999999"], NOW), NOW)
    connection.commit()
    meters = {one["meter"]: one for one in client.get(f"{AT}/meters").json()["meters"]}
    assert not meters["KAM-99999999"]["registered"]
    assert meters[ours.meters[0]]["polls"] is None


def test_a_gateway_that_was_never_heard_has_a_document_all_the_same(client: TestClient) -> None:
    document = client.get("/v1/gateways/gw-keller/health").json()
    assert document["health"] is None
    assert client.get("/v1/gateways/gw-keller/lines").json()["lines"] == []
    assert client.get("/v1/gateways/gw-keller/configuration").json()["version"] == 0
    assert client.get("/v1/gateways/gw-keller/commands").json()["commands"] == []
    for path in (
        "health",
        "health/history",
        "lines",
        "meters",
        "commands",
        "configuration",
        "configurations",
    ):
        assert client.get(f"/v1/gateways/nowhere/{path}").status_code == 404


def test_a_command_is_queued_with_its_author_and_reason_and_its_reply_comes_later(
    engineer: TestClient, client: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    order = {"command": "read-now", "meter": ours.meters[0], "reason": "the tenant asks", "expires_in": 60}
    answer = engineer.post(f"{AT}/commands", json=order)
    assert answer.status_code == 202
    command = answer.json()
    assert (command["state"], command["reason"], command["result"]) == ("queued", "the tenant asks", None)
    assert command["author"].startswith("key ")
    values = {"at": NOW.isoformat(), "status": [], "values": {"8-0:1.0.0": "1.5 m3"}}
    answered(connection, command["id"], {"readouts": 1, "values": {ours.meters[0]: values}})
    path = f"{AT}/commands/{command['id']}"
    assert client.get(path).json()["result"]["values"][ours.meters[0]] == values
    told_without = engineer.get(path).json()
    assert told_without["state"] == "done"
    assert told_without["result"] == {"readouts": 1}, "who does not read values is not told them here either"
    noted = "select count(*) from audit_log where action = 'read personal data' and subject = %s"
    assert connection.execute(noted, (path,)).fetchone() == (1,)
    listed = client.get(f"{AT}/commands", params={"limit": 1}).json()
    assert "values" not in listed["commands"][0]["result"]
    assert (listed["commands"][0]["id"], listed["next_cursor"]) == (command["id"], command["id"])


def test_a_repeated_order_with_its_key_is_one_command(engineer: TestClient, ours: Seeded) -> None:
    order = {"command": "scan", "line": "water"}
    first, again = (
        engineer.post(f"{AT}/commands", json=order, headers={"Idempotency-Key": "one"}) for _ in range(2)
    )
    assert first.json() == again.json()
    commands = engineer.get(f"{AT}/commands").json()["commands"]
    assert [one["command"] for one in commands].count("scan") == 1


def test_an_order_that_no_gateway_could_do_is_refused(engineer: TestClient) -> None:
    orders: list[dict[str, Any]] = [
        {"command": "read-now"},
        {"command": "scan", "meter": "KAM-1"},
        {"command": "set-clock", "line": "water"},
        {"command": "log-level"},
        {"command": "log-level", "level": "loud"},
        {"command": "format-disk"},
        {"command": "show-config", "expires_in": 10**6},
        {"command": "show-config", "shell": "true"},
    ]
    for order in orders:
        assert engineer.post(f"{AT}/commands", json=order).status_code == 422, order


def test_a_gateway_is_not_flooded(engineer: TestClient, clock: Clock) -> None:
    for _ in range(20):
        assert engineer.post(f"{AT}/commands", json={"command": "show-config"}).status_code == 202
    refused = engineer.post(f"{AT}/commands", json={"command": "show-config"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-commands")
    clock.now += 11 * MINUTE
    assert engineer.post(f"{AT}/commands", json={"command": "show-config"}).status_code == 202


def test_a_preview_says_what_changes_and_whether_it_fits(engineer: TestClient, ours: Seeded) -> None:
    slow = configuration(ours, **{'"15min"': '"1h"'})
    preview = engineer.post(f"{AT}/configuration/preview", json={"toml": slow}).json()
    assert (preview["checked"], preview["problems"], preview["running"], preview["fits"]) == (
        True,
        [],
        "1",
        True,
    )
    assert [line for line in preview["difference"] if line[0] in "+-"] == [
        '-schedule = "15min"',
        '+schedule = "1h"',
    ]
    (line,) = preview["lines"]
    assert (line["name"], line["meters"], line["fits"]) == ("water", 1, True)
    assert 0 < line["utilisation"] < 0.01

    meters = "".join(f"[[line.meter]]\naddress = {number}\n" for number in range(2, 60))
    busy = configuration(ours, **{'"15min"': '"5s"'}) + meters
    preview = engineer.post(f"{AT}/configuration/preview", json={"toml": busy}).json()
    assert (preview["problems"], preview["fits"], preview["lines"][0]["fits"]) == ([], False, False)
    assert engineer.get(f"{AT}/configuration").json()["version"] == 2, "nothing was sent"


def test_what_the_gateway_would_refuse_is_said_with_its_line_and_not_sent(
    engineer: TestClient, ours: Seeded
) -> None:
    wrong = [
        ('"mbus"', '"morse"', 14, "morse"),
        ('"alpha"', '"beta"', 1, 'utility = "alpha"'),
        ('"gw-lindenhof"', '"gw-keller"', 2, 'gateway = "gw-lindenhof"'),
        ("mqtt.example.org", "mqtt.example.com", 5, "on site"),
        ("address = 1", f'address = 1\nkey = "{"0" * 32}"', 19, 'key_file = "..."'),
        ("address = 1", 'address = 1\nkey_file = "/etc/shadow"', 19, "below it"),
        ("utility =", "utility", 1, "not TOML"),
        ("address = 1", "address = " + "[" * 5_000, None, ""),
    ]
    for old, new, line, what in wrong:
        toml = configuration(ours, **{old: new})
        problems = engineer.post(f"{AT}/configuration/preview", json={"toml": toml}).json()["problems"]
        assert problems[0]["line"] == line
        assert what in problems[0]["what"]
        refused = put(engineer, toml)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/configuration-refused")
        assert what in refused.json()["errors"][0]["what"]
    assert engineer.get(f"{AT}/configuration").json()["version"] == 2


def test_a_configuration_is_put_over_what_was_seen_and_nothing_else(
    engineer: TestClient, ours: Seeded
) -> None:
    toml = configuration(ours, **{'"15min"': '"1h"'})
    tag = engineer.get(f"{AT}/configuration").headers["etag"]
    first = put(engineer, toml, tag)
    assert (first.status_code, first.json()["version"], first.json()["toml"]) == (200, 3, toml)
    assert put(engineer, toml, tag).status_code == 412
    assert engineer.put(f"{AT}/configuration", json={"toml": toml}).status_code == 428
    listed = engineer.get(f"{AT}/configurations").json()
    assert [one["version"] for one in listed["configurations"]] == [3, 2, 1]
    assert [one["state"] for one in listed["configurations"]] == ["queued", "rolled back", "kept"]
    assert listed["running"] == "1"
    assert "toml" not in listed["configurations"][0]


def test_an_earlier_configuration_comes_back_as_a_new_version(engineer: TestClient, ours: Seeded) -> None:
    tag = engineer.get(f"{AT}/configuration").headers["etag"]
    path = f"{AT}/configurations/1"
    earlier = engineer.get(path).json()
    answer = engineer.post(f"{path}/restore", json={"reason": "it read more"}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["version"], answer.json()["restores"]) == (200, 3, 1)
    assert engineer.get(f"{AT}/configurations/3").json()["toml"] == earlier["toml"]
    assert engineer.get(f"{AT}/configurations/9").status_code == 404
    missing = engineer.post(f"{AT}/configurations/9/restore", json={}, headers={"If-Match": "*"})
    assert missing.status_code == 404


def test_an_empty_text_leads_back_to_the_installers_file(engineer: TestClient) -> None:
    assert engineer.post(f"{AT}/configuration/preview", json={"toml": ""}).json()["problems"] == []
    assert put(engineer, "").json()["version"] == 3


def test_what_runs_is_known_from_what_the_gateway_showed(
    engineer: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    gateway = gateway_id(connection, ours)
    keep_health(connection, gateway, told(ours.meters, NOW, config_version=""), NOW)
    connection.commit()
    text = {"toml": configuration(ours)}
    assert not engineer.post(f"{AT}/configuration/preview", json=text).json()["present"]
    command = engineer.post(f"{AT}/commands", json={"command": "show-config"}).json()
    answered(connection, command["id"], {"version": "", "toml": text["toml"].replace("15min", "1h")})
    preview = engineer.post(f"{AT}/configuration/preview", json=text).json()
    changes = [line for line in preview["difference"] if line[0] in "+-"]
    assert (preview["present"], changes) == (True, ['-schedule = "1h"', '+schedule = "15min"'])


def test_a_server_without_the_gateways_software_says_that_it_knows_nothing(
    client: TestClient, ours: Seeded
) -> None:
    preview = client.post(f"{AT}/configuration/preview", json={"toml": "nonsense"}).json()
    assert (preview["checked"], preview["fits"]) == (False, None)


def test_a_configuration_of_hundreds_of_meters_is_not_too_large(engineer: TestClient, ours: Seeded) -> None:
    toml = configuration(ours)
    for line in range(4):
        toml += (
            f'[[line]]\nname = "{line}"\nport = "/dev/ttyUSB{line + 1}"\nprotocol = "mbus"\nschedule = "1h"\n'
        )
        toml += "".join(
            f"[[line.meter]]\naddress = {one} # behind the third door of the cellar, on the left\n"
            for one in range(250)
        )
    assert len(toml) > 65_536
    answer = engineer.post(f"{AT}/configuration/preview", json={"toml": toml})
    assert answer.status_code == 200
    assert engineer.post(f"{AT}/commands", json={"reason": "x" * 70_000}).status_code == 413


def test_another_utilitys_gateways_are_not_there(
    engineer: TestClient, connection: psycopg.Connection, theirs: Seeded
) -> None:
    connection.execute(
        "update gateways set code = 'gw-beta' where utility_id = %s and code = %s", (theirs.id, GATEWAY)
    )
    connection.commit()
    at = "/v1/gateways/gw-beta"
    for path in (
        "health",
        "health/history",
        "lines",
        "meters",
        "commands",
        "configuration",
        "configurations",
    ):
        assert engineer.get(f"{at}/{path}").status_code == 404
    assert engineer.post(f"{at}/commands", json={"command": "show-config"}).status_code == 404
    assert engineer.post(f"{at}/configuration/preview", json={"toml": ""}).status_code == 404
    row = connection.execute("select id from gateway_commands where utility_id = %s", (theirs.id,)).fetchone()
    assert row is not None
    assert engineer.get(f"{AT}/commands/{row[0]}").status_code == 404


def test_every_change_is_in_the_audit_log(
    engineer: TestClient, connection: psycopg.Connection, ours: Seeded
) -> None:
    engineer.post(f"{AT}/commands", json={"command": "show-config"})
    put(engineer, "")
    rows = connection.execute(
        "select subject, actor from audit_log where action = 'added' and subject like 'gateway%'"
    ).fetchall()
    by_us = {subject.split()[0] for subject, actor in rows if actor.startswith("key ")}
    assert by_us == {"gateway_commands", "gateway_configurations"}
