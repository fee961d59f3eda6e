"""`hesper decode`."""

from typing import Annotated

import typer

from hesper.decode import run


def decode(
    source: Annotated[str, typer.Argument(metavar="HEX|FILE", help="The telegram in hex, or a file of it.")],
    profile: Annotated[
        str | None, typer.Option(help="Of a Modbus telegram: its meter's profile, such as eastron-sdm630.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of its first register, such as 0x0048, if no request is in front.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Explain a telegram: meter, status, and every record with its exact value.

    M-Bus, SML and IEC 62056-21 are recognised; Modbus needs the meter's profile.
    """
    raise typer.Exit(run(source, as_json, profile, _first(address)))


def _first(address: str | None) -> int | None:
    try:
        return None if address is None else int(address, 0)
    except ValueError:
        raise typer.BadParameter(f"{address!r} is no address; write 72 or 0x0048") from None
