"""The configuration of the building's gateway, as an installer would have written it."""

from pathlib import Path

from hesper.demo.building import GATEWAY, TIME_ZONE, UTILITY, Building
from hesper.demo.meters import PROTOCOLS, SETTINGS
from hesper.demo.state import DemoState


def gateway_config(
    building: Building, state: DemoState, place: Path, broker: tuple[str, int], schedule: str
) -> str:
    """The gateway's TOML: four lines, every meter that hangs in the building today."""
    parts = [
        f'utility = "{UTILITY}"\ngateway = "{GATEWAY}"\ntime_zone = "{TIME_ZONE.key}"\nclock = "trusted"\n',
        f'[mqtt]\nhost = "{broker[0]}"\nport = {broker[1]}\n',
        f'[buffer]\npath = "{place / "buffer.sqlite"}"\n',
    ]
    for name, protocol in PROTOCOLS.items():
        spec = str(place / name) if name == "optical" else f"tcp://127.0.0.1:{state.ports[name]}"
        parts.append(
            f'[[line]]\nname = "{name}"\nport = "{spec}"\nprotocol = "{protocol}"\n'
            f'settings = "{SETTINGS[name]}"\nschedule = "{schedule}"\n'
        )
        for meter in building.meters_now:
            if meter.line == name:
                profile = f'profile = "{meter.profile}"\n' if meter.profile else ""
                address = "" if name == "optical" else str(meter.address)
                parts.append(f'[[line.meter]]\naddress = "{address}"\nmeter = "{meter.meter}"\n{profile}')
    return "\n".join(parts)
