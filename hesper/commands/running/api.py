"""`hesper api run`."""

import ipaddress
import os
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hesper.clock import process_clock
from hesper.commands.store_url import check_login
from hesper.heartbeat import beat_while
from hesper.logs import LogStyle, configure_logging
from hesper.secret_keys import SecretKeys
from store.keyring import Keyring, KeyringError
from store.postgres.roles import Role

if TYPE_CHECKING:
    from api.web.configuration_check import ConfigurationCheck

app = typer.Typer(no_args_is_help=True)

_SECRET_NAME = "session-secret"  # noqa: S105 - the name of the file that holds it


@app.command()
def run(
    *,
    database_url: Annotated[str, typer.Option(envvar="DATABASE_URL", help="The store.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8480,
    data: Annotated[
        Path, typer.Option(envvar="HESPER_DATA", help="Folder of the secret that signs sessions.")
    ] = Path("hesper-data"),
    plain_http: Annotated[
        bool,
        typer.Option(
            envvar="HESPER_PLAIN_HTTP", help="Let browsers sign in without https: on a loopback address only."
        ),
    ] = False,
    oidc: Annotated[
        Path | None,
        typer.Option(
            envvar="HESPER_OIDC",
            help="TOML of the provider that people sign in with; its client secret is HESPER_OIDC_SECRET.",
        ),
    ] = None,
    log: Annotated[LogStyle, typer.Option(help="How to write the log.")] = LogStyle.CONSOLE,
) -> None:
    """Serve the API and the pages until told to stop.

    Elsewhere than on loopback put a proxy with TLS in front: sessions are then for https only.
    """
    from api.identity.oidc import OidcSettingsError, load
    from api.web.app import create_app
    from api.web.server import Server
    from api.web.settings import ApiSettings, SettingsError, kept_session_secret
    from hesper.telegrams import decode

    if plain_http and not _is_loopback(host):
        typer.echo(
            f"--plain-http is for 127.0.0.1 or ::1, not {host}: put a proxy with TLS in front", err=True
        )
        raise typer.Exit(2)
    try:
        settings = ApiSettings(
            database_url=database_url,
            session_secret=kept_session_secret(data / _SECRET_NAME),
            secure_cookies=not plain_http,
            keyring=Keyring(SecretKeys.of(data)),
            oidc=load(oidc, os.environ.get("HESPER_OIDC_SECRET")) if oidc else None,
        )
    except (SettingsError, OidcSettingsError, KeyringError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    check_login(database_url, Role.API)
    configure_logging(log)
    beat_while(lambda: _answers(host, port))
    Server(
        create_app(settings, clock=process_clock(), check=_configuration_check(), decode=decode), host, port
    ).run()


def _configuration_check() -> "ConfigurationCheck | None":
    """None where the gateway's software is not installed: then a gateway says itself what it refuses."""
    try:
        from hesper.gateway_check import check_configuration
    except ImportError:
        return None
    return check_configuration


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answers(host: str, port: int) -> bool:
    """Whether the server answers, whatever it says."""
    connection = HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=10)  # noqa: S104 - compared only
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True
