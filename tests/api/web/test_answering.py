"""How a request is answered: by one worker, which is free while something is computed that is costly."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import psycopg
import pytest

from api.web.app import create_app
from api.web.services import Services
from api.web.settings import ApiSettings
from metering.access import UserRole
from tests.api.conftest import Clock
from tests.api.people import PASSWORD, form_token, person
from tests.api.seeding import seed
from tests.support.browsing import serving


def test_who_changes_a_password_holds_no_worker_while_it_is_hashed(
    settings: ApiSettings, clock: Clock, connection: psycopg.Connection
) -> None:
    key = seed(connection, "alpha", flats=1, days=1).key
    person(connection, "anna", "alpha", UserRole.ENGINEER)
    app = create_app(replace(settings, workers=1, address_burst=10**6), clock=clock)
    begun, go_on = threading.Event(), threading.Event()

    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as anna, ThreadPoolExecutor(1) as thread:
        form = {"form_token": form_token(anna.get("/sign-in").text), "login": "anna", "password": PASSWORD}
        assert anna.post("/sign-in", data=form).status_code == 303
        shared: Services = app.state.services
        matches = shared.passwords.matches

        def slowly(password_hash: str | None, password: str) -> bool:
            begun.set()
            assert go_on.wait(20)
            return matches(password_hash, password)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(shared.passwords, "matches", slowly)
            form = {"form_token": form_token(anna.get("/account").text)}
            form |= {"current": PASSWORD, "password": "another horse battery"}
            changed = thread.submit(anna.post, "/account/password", data=form)
            assert begun.wait(20)
            asked = httpx.get(f"{url}/v1/meters", headers={"X-API-Key": key}, timeout=5)
            assert asked.status_code == 200, "the only worker, and the only connection, are free"
            go_on.set()
            assert changed.result().status_code == 303
        assert anna.get("/account").status_code == 200
