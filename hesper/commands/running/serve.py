"""`hesper serve`: the central side of a small utility on one machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hesper.central import API_PORT, BusyError, Central
from hesper.settings import Settings, UnusableSettingError
from hesper.stop import until_told
from hesper.supervise import StartError
from metering.registry.checks import RegistryError
from metering.registry.document import load
from store.postgres.database import StoreError, connect, shown
from store.postgres.roles import Role
from store.registry import apply


def serve(
    data: Annotated[
        Path | None, typer.Option(help="Data folder; default HESPER_DATA, ./hesper-data.")
    ] = None,
    registry: Annotated[
        Path | None, typer.Option(help="TOML of utilities, gateways, meters: applied at the start.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where the API and pages listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Their port; if the default is taken, a free one.")] = API_PORT,
    broker_port: Annotated[
        int | None, typer.Option(help="Port of the embedded broker; default 1883 or a free one.")
    ] = None,
) -> None:
    """Database and broker (given or embedded), ingester, validator, API and pages. Ctrl-C ends all.

    The database is DATABASE_URL, the broker HESPER_BROKER (mqtt://host:port); each is embedded if not given.
    The embedded broker listens on this machine only: gateways elsewhere need a broker with TLS and an ACL.
    """
    settings = Settings()
    console = Console(stderr=True)
    stop = until_told()
    try:
        with (
            console.status("starting database, broker, ingester, validator, API"),
            Central(
                data or settings.data,
                database_url=settings.database_url,
                broker=settings.broker,
                api_host=host,
                api_port=port,
                broker_port=broker_port,
                logs_in_files=False,
            ) as central,
        ):
            if registry is not None:
                _apply(registry, central.database_url)
            console.print(_where(central))
            stop.wait()
            console.print("ending all processes")
    except (BusyError, StartError, UnusableSettingError, StoreError, RegistryError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None


def _apply(document: Path, database_url: str) -> None:
    registry = load(document)
    with connect(database_url, role=Role.ADMIN) as connection:
        apply(connection, registry)


def _where(central: Central) -> str:
    runtime = central.runtime
    return (
        f"pages and API   {runtime.api_url}\n"
        f"gateways to     mqtt://{runtime.broker_host}:{runtime.broker_port}\n"
        f"database        {shown(runtime.database_url)}\n"
        "an account      hesper user create <login> --utility <code> --role administrator\n"
        "an API key      hesper key create --utility <code> --name <who>\n"
        "Ctrl-C ends all of it."
    )
