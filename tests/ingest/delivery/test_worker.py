"""The outbox and its worker: in the close's transaction, signed, repeated under one id, dead in the end."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hesper.secret_keys import SecretKeys, sealing_keyring
from ingest.billing.close import close
from ingest.delivery.address import AddressError
from ingest.delivery.post import AttemptError, PostAnswer
from ingest.delivery.signature import headers, new_secret
from ingest.delivery.worker import DISTANCES, main
from store.delivery import destinations, outbox
from store.keyring import PREFIX
from store.postgres.database import connect
from store.postgres.roles import Role
from tests.ingest.delivery.conftest import DAY, NOVEMBER, Destination, listening
from tests.support.town import NOW, UTILITY, Town


def told(body: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(body)
    return document


def test_a_close_and_its_messages_are_one_transaction(town: Town, destination: Destination) -> None:
    town.judge()
    with town.connection.transaction(force_rollback=True):  # the machine dies before it commits
        close(town.connection, UTILITY, "2026-10", "anna", NOW)
        assert town.connection.execute("select count(*) from outbox").fetchone() == (1,)
    assert destination.states() == []
    town.close("2026-10")
    assert destination.states() == [("waiting", 0)]


def test_a_message_says_what_was_issued_with_control_totals(town: Town, destination: Destination) -> None:
    town.close("2026-10")
    assert destination.step()
    assert not destination.step()
    ((_, body),) = destination.came
    message = told(body)
    assert message["type"] == "billing.readings"
    assert message["data"]["count"] == 2
    assert message["data"]["totals"] == {"8-0:1.0.0 m3": "62"}
    first = message["data"]["readings"][0]
    assert first["service_point"] == {"code": "AAA-1", "account": "40001"}
    assert (first["version"], first["consumption"], first["meters"]) == (1, "31", ["AAA-1"])
    assert first["starts_at"] == {"utc": "2026-09-30T22:00:00Z", "local_offset": "+02:00"}
    assert destination.states() == [("delivered", 1)]


def test_messages_are_signed_by_the_secret_and_while_it_is_rotated_by_both(
    town: Town, destination: Destination
) -> None:
    town.close("2026-10")
    fresh = new_secret()
    destinations.rotate(town.connection, destination.id, fresh, destination.now + timedelta(hours=1))
    destination.answers = [PostAnswer(500)]
    destination.step()
    destination.now += timedelta(hours=2)
    destination.step()
    for (fields, body), secrets in zip(destination.came, ([fresh, destination.secret], [fresh]), strict=True):
        signed = headers(fields["webhook-id"], int(fields["webhook-timestamp"]), body, secrets)
        assert signed.items() <= fields.items()


def test_a_repetition_has_the_same_id_and_the_same_bytes_whatever_the_registry_says_by_then(
    town: Town, destination: Destination
) -> None:
    town.close("2026-10")
    destination.answers = [AttemptError("no answer")]
    destination.step()
    town.connection.execute("update service_points set account = 'other', name = 'renamed'")
    destination.now += timedelta(hours=1)
    destination.step()
    (first, body), (second, again) = destination.came
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert body == again


def test_a_correction_is_a_message_of_its_own_with_only_what_changed(
    town: Town, destination: Destination
) -> None:
    town.close("2026-10")
    town.read("AAA-1", {NOVEMBER: "141.5"})
    town.close("2026-10")
    while destination.step():
        pass
    later = told(destination.came[1][1])["data"]["readings"]
    assert [(each["service_point"]["code"], each["version"], each["consumption"]) for each in later] == [
        ("AAA-1", 2, "31.5")
    ]
    assert destination.states() == [("delivered", 1)] * 2


def test_a_close_without_news_puts_nothing_into_the_outbox(town: Town, destination: Destination) -> None:
    town.close("2026-10")
    town.close("2026-10")
    assert len(destination.states()) == 1


def test_distances_grow_until_the_message_is_dead_and_a_person_lets_it_wait_again(
    town: Town, destination: Destination, caplog: pytest.LogCaptureFixture
) -> None:
    town.close("2026-10")
    gone = []
    for attempt in range(len(DISTANCES) + 1):
        destination.answers = [PostAnswer(503)]
        start = destination.now
        while not destination.step():
            destination.now += timedelta(seconds=5) if attempt < 3 else timedelta(minutes=5)
        gone.append(destination.now - start)
    assert destination.states() == [("dead", len(DISTANCES) + 1)]
    assert all(DISTANCES[n] * 0.5 <= gone[n + 1] <= DISTANCES[n] + timedelta(minutes=5) for n in range(9))
    destination.now += 30 * DAY
    assert not destination.step()
    (dead,) = outbox.messages(town.connection, state=outbox.MessageState.DEAD)
    assert dead.last_error == "it answered 503"
    assert outbox.requeue(town.connection, [dead.id], destination.now) == 1
    assert destination.step()
    assert destination.states() == [("delivered", 1)]
    assert len({fields["webhook-id"] for fields, _ in destination.came}) == 1


def test_a_destination_that_is_gone_is_not_asked_again(town: Town, destination: Destination) -> None:
    town.close("2026-10")
    destination.answers = [PostAnswer(410)]
    destination.step()
    assert destination.states() == [("dead", 1)]


def test_a_destination_that_asks_to_be_left_alone_is(town: Town, destination: Destination) -> None:
    town.close("2026-09")
    town.close("2026-10")
    town.connection.commit()
    destination.answers = [PostAnswer(429, retry_after=600)]
    destination.step()
    destination.now += timedelta(seconds=590)
    assert not destination.step()
    destination.now += timedelta(seconds=11)
    assert destination.step()


def test_an_address_that_turned_private_is_an_attempt_that_failed(
    town: Town, destination: Destination
) -> None:
    town.close("2026-10")
    destination.answers = [AddressError("billing.example is at 10.0.0.1, which is not a public address")]
    destination.step()
    (row,) = outbox.messages(town.connection)
    assert (row.state, row.attempts) == ("waiting", 1)
    assert row.last_error is not None
    assert "10.0.0.1" in row.last_error


def test_workers_never_hold_the_same_message_and_one_that_dies_gives_it_back(
    town: Town, destination: Destination, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "READINGS_PER_MESSAGE", 1)
    town.close("2026-10")
    with connect(database) as one, connect(database) as two, connect(database) as three:
        first, second = (outbox.claim(connection, destination.now) for connection in (one, two))
        assert first is not None
        assert second is not None
        assert first.message_id != second.message_id
        assert outbox.claim(three, destination.now) is None
        one.close()  # with its transaction
        deadline = time.monotonic() + 10  # for the server to notice
        while (again := outbox.claim(three, destination.now)) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert again is not None
        assert again.message_id == first.message_id


def test_large_closes_are_cut_into_messages_without_gap_or_overlap(
    town: Town, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "READINGS_PER_MESSAGE", 1)
    town.close("2026-10")
    while destination.step():
        pass
    codes = [
        each["service_point"]["code"]
        for _, body in destination.came
        for each in told(body)["data"]["readings"]
    ]
    assert codes == ["AAA-1", "BBB-2"]


def test_a_new_destination_may_have_what_was_closed_before(town: Town, destination: Destination) -> None:
    town.close("2026-10")
    url = "https://other.example/"
    later = destinations.add(town.connection, UTILITY, url, new_secret(), "anna", allow_private=False)
    assert outbox.put_closed(town.connection, later, "2026-11") == 0
    assert outbox.put_closed(town.connection, later, "2026-01") == 1
    assert outbox.put_closed(town.connection, later, "2026-01") == 0
    with pytest.raises(destinations.DestinationError, match="already"):
        destinations.add(town.connection, UTILITY, url, new_secret(), "anna", allow_private=False)


def test_nothing_is_sent_to_a_destination_that_was_removed(town: Town, destination: Destination) -> None:
    town.close("2026-10")
    destinations.remove(town.connection, destination.id, destination.now)
    assert not destination.step()
    with pytest.raises(destinations.DestinationError, match="no destination"):
        destinations.rotate(town.connection, destination.id, new_secret(), destination.now)


def test_the_worker_has_the_rights_that_it_needs_and_no_more(
    town: Town, destination: Destination, database: str
) -> None:
    town.close("2026-10")
    with connect(database, role=Role.DELIVER) as connection:
        assert destination.courier.step(connection)
        for statement in (
            "update billing_readings set consumption = 0",
            "delete from outbox",
            "insert into destinations (utility_id, url, secret, author) values (1, 'x', 'x', 'x')",
            "select * from readings",
            "select * from api_keys",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())
    assert destination.states() == [("delivered", 1)]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.API, Role.INGEST])
def test_nobody_else_reads_a_signing_secret(
    town: Town, destination: Destination, database: str, role: Role
) -> None:
    with connect(database, role=role) as connection:
        for column in ("secret", "previous_secret", "*"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"select {column} from destinations".encode())


def test_a_secret_is_in_no_representation(town: Town, destination: Destination) -> None:
    town.close("2026-10")
    claimed = outbox.claim(town.connection, destination.now)
    assert claimed is not None
    assert [*map(destination.courier.opened, claimed.secrets)] == [destination.secret]
    assert destination.secret not in repr(claimed)


def test_a_worker_delivers_what_comes_and_ends_when_it_is_told(
    town: Town, database: str, tmp_path: Path
) -> None:
    keyring = partial(sealing_keyring, keys=SecretKeys.of(tmp_path, {}))
    with listening() as server:
        url, stop = f"http://127.0.0.1:{server.port}/in", threading.Event()
        destinations.add(town.connection, UTILITY, url, new_secret(), "anna", allow_private=True)
        town.connection.commit()
        worker = threading.Thread(target=main, args=(database, stop, lambda: datetime.now(UTC), keyring))
        worker.start()
        town.close("2026-10")
        town.connection.commit()
        while not server.came and worker.is_alive():
            time.sleep(0.01)
        stop.set()
        worker.join()
    assert [told(body)["data"]["count"] for _, body in server.came] == [2]
    kept = town.connection.execute("select secret from destinations").fetchone()
    assert kept is not None
    assert kept[0].startswith(PREFIX), "one from before there were keys is encrypted at the start"
    assert [row.state for row in outbox.messages(town.connection)] == ["delivered"]
