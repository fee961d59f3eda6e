"""What every route shares: the pool, the clock, the signer, the templates. One object, made in `app.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, cast

import psycopg
from fastapi import Request
from fastapi.templating import Jinja2Templates
from psycopg_pool import ConnectionPool

from api.identity.form_tokens import Signer
from api.identity.oidc import Provider
from api.identity.passwords import Passwords, SecondFactor
from api.web.configuration_check import ConfigurationCheck
from api.web.rate_limits import Lockout, TokenBuckets
from api.web.settings import ApiSettings
from api.web.telegrams import Decode

if TYPE_CHECKING:  # its routes ask for services
    from api.pages.fleet.fleet import State
    from api.web.adaptive_cache import Kept
    from api.web.streams import Live


@dataclass(frozen=True, slots=True)
class Services:
    """`clock` gives the present instant, aware, in UTC; `rates` counts by caller; no `provider`: no OIDC.

    Whoever streams an export holds one of `exports` meanwhile. No `check`: nothing is known of a gateway's
    configuration before the gateway has tried it.
    `decode` says what a stored telegram means.
    """

    settings: ApiSettings
    pool: ConnectionPool[psycopg.Connection]
    clock: Callable[[], datetime]
    signer: Signer
    passwords: Passwords
    second_factor: SecondFactor
    rates: TokenBuckets
    accounts: Lockout
    addresses: Lockout
    provider: Provider | None
    check: ConfigurationCheck | None
    templates: Jinja2Templates
    decode: Decode
    live: "Live"
    fleets: "Kept[State]"
    exports: BoundedSemaphore


def services(request: Request) -> Services:
    """The app's services."""
    return cast(Services, request.app.state.services)
