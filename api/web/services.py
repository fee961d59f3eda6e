"""Services that every route shares: the pool, the clock, the signer, the templates. Made in `app.py`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore
from typing import cast

import psycopg
from fastapi import Request
from fastapi.templating import Jinja2Templates
from psycopg_pool import ConnectionPool, PoolTimeout

from api.identity.form_tokens import Signer
from api.identity.oidc import Provider
from api.identity.passwords import Passwords, SecondFactor
from api.web.adaptive_cache import AdaptiveCache
from api.web.configuration_check import ConfigurationCheck
from api.web.pulse import DatabasePulse
from api.web.rate_limits import TokenBuckets
from api.web.settings import ApiSettings
from api.web.streams import ChangeStreams
from api.web.telegrams import Decode
from api.web.workers import Workers
from store.fleet.tree import FleetCounts


@dataclass(frozen=True, slots=True)
class Services:
    """Object that all routes share.

    `clock` gives the present instant, aware, in UTC; `rates` counts by caller, `refusals` by network;
    `workers` answer requests, `hashing` computes what is costly on purpose; who streams an export holds one
    of `exports` meanwhile; `decode` says what a stored telegram means. Without a `provider` there is no
    OIDC; without a `check` nothing is known of a gateway's configuration before the gateway has tried it.
    """

    settings: ApiSettings
    pool: ConnectionPool[psycopg.Connection]
    workers: Workers
    hashing: Workers
    pulse: DatabasePulse
    clock: Callable[[], datetime]
    signer: Signer
    passwords: Passwords
    second_factor: SecondFactor
    rates: TokenBuckets
    refusals: TokenBuckets
    provider: Provider | None
    check: ConfigurationCheck | None
    templates: Jinja2Templates
    decode: Decode
    streams: ChangeStreams
    fleets: AdaptiveCache[FleetCounts]
    exports: BoundedSemaphore

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A connection, committed at the end or rolled back, and cut where the server hangs.

        Raises PoolTimeout at once while the database answers nobody.
        """
        if not self.pulse.beats:
            raise PoolTimeout("the database does not answer")
        with self.pool.connection() as connection, self.pulse.watched(connection):
            yield connection


def services(request: Request) -> Services:
    """The app's services."""
    return cast(Services, request.app.state.services)
