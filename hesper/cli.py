"""The `hesper` command: sub-commands are mounted here, and import what they run only when they run."""

import importlib
import importlib.metadata
import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from hesper.private_files import keep_private


@dataclass(frozen=True, slots=True)
class Entry:
    """A name on the command line, where its code is (a typer app, or a function that is one command)."""

    name: str
    module: str
    attribute: str
    help: str


COMMANDS = (
    Entry("demo", "running.demo", "demo", "A virtual building and the whole system, in one command."),
    Entry("serve", "running.serve", "serve", "The central side of a small utility, in one command."),
    Entry("gateway", "gateways.gateway", "app", "Read meters and publish: what runs in the basement."),
    Entry("decode", "gateways.decode", "decode", "Explain a telegram: M-Bus, SML, IEC 62056-21, Modbus."),
    Entry("import", "readings.import_", "import_", "Bring history from a CSV file into the store."),
    Entry("close", "billing.close", "close", "Close a month: billing readings and exceptions."),
    Entry("rules", "billing.rules", "app", "By which rules months are closed, and from when on."),
    Entry("explain", "billing.explain", "explain", "All that stands behind a billing reading."),
    Entry("deliver", "delivery.deliver", "app", "Hand billing readings to billing systems."),
    Entry("worker", "running.worker", "app", "The process that does what people asked for in the browser."),
    Entry("submissions", "submissions.submissions", "app", "Readings that people hand in."),
    Entry("registry", "registry.registry", "app", "Utilities, gateways, meters, service points."),
    Entry("store", "running.store", "app", "How long data is kept."),
    Entry("backup", "running.backup", "app", "Backups of the database."),
    Entry("restore", "running.restore", "app", "The database out of a backup."),
    Entry("edit", "validation.edit", "app", "Leave readings out, enter or accept them; undo it."),
    Entry("export", "readings.export", "export", "Readings of a range as a file."),
    Entry("arrival", "readings.arrival", "arrival", "The share of due readings that arrived."),
    Entry("quarantine", "readings.quarantine", "app", "What could not be used: look, try again, discard."),
    Entry("login", "access.login", "login", "Sign in at the command line."),
    Entry("logout", "access.login", "logout", "Sign out at the command line."),
    Entry("user", "access.user", "app", "Accounts of people, and their roles."),
    Entry("key", "access.key", "app", "API keys of billing systems and people."),
    Entry("secrets", "access.secrets", "app", "Keys that encrypt secrets in the database."),
    Entry("audit", "access.audit", "app", "The log of who did what: is it still what was written?"),
    Entry("migrate", "running.migrate", "migrate", "Bring the database to this version's schema."),
    Entry("ingest", "running.ingest", "app", "The process that takes messages into the store."),
    Entry("validate", "validation.validate", "app", "The process that judges what was stored."),
    Entry("api", "running.api", "app", "The process that serves the API and the pages."),
)
_OURS = {"telemetry", "metering", "drivers", "gateway", "anomaly", "store", "ingest", "api", "hesper"}

_GATEWAY_ONLY = {"serial", "pymodbus", "psutil"}


def build(arguments: list[str]) -> typer.Typer:
    """The command line for these arguments: only the module of the command that they name is imported."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Hesper: from telegrams on a wire to billing-ready readings.",
    )
    app.callback()(_options)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    for entry in COMMANDS:
        if entry.name == wanted:
            _mount(app, entry)
        else:
            app.command(entry.name, help=entry.help)(_not_called)
    return app


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and exit.",
            is_eager=True,
            callback=lambda wanted: _show_version() if wanted else None,
        ),
    ] = False,
) -> None:
    """Options of `hesper` itself."""


def _show_version() -> None:
    typer.echo(importlib.metadata.version("hesper"))
    raise typer.Exit


def _not_called() -> None:
    """Stands for a command in the list of commands."""


def _mount(app: typer.Typer, entry: Entry) -> None:
    target = getattr(importlib.import_module(f"hesper.commands.{entry.module}"), entry.attribute)
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=entry.name, help=entry.help)
    else:
        app.command(entry.name)(target)


def _words_to_complete() -> list[str]:
    """The arguments that a shell asks to complete, which it tells in its environment."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return line.split()[1:]


def main() -> None:
    """The entry point of the `hesper` command."""
    keep_private()
    try:
        build(sys.argv[1:] or _words_to_complete())(prog_name="hesper")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in _OURS:
            raise
        extra = "gateway" if package in _GATEWAY_ONLY or "gateway" in sys.argv[1:2] else "central,embedded"
        sys.exit(
            f"this command needs the Python package {package!r}, which is not installed here; "
            f'install "hesper[{extra}]"'
        )
