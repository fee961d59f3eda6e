"""The building's wires: a process that puts the virtual meters on TCP ports and a pty. Ended by a signal.

`python -m hesper.demo.hosts FOLDER` reads `building.json` (seed, birth, ports) from the demo's folder.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from drivers.bus import VirtualBus
from drivers.driver import Clock
from drivers.host import MeterHost, PtyMeterHost, TcpMeterHost, Wiring
from hesper.clock import process_clock
from hesper.demo.building import Building, build
from hesper.demo.meters import SETTINGS, virtual_meter
from hesper.demo.state import DemoState
from hesper.stop import until_told

_TIME_SCALE = 0.1  # meters react ten times as quickly as real ones: a demo's patience is short


def lines(building: Building, clock: Clock) -> dict[str, VirtualBus]:
    """Each line's meters on its wire."""
    buses: dict[str, VirtualBus] = {}
    for meter in building.answering:
        buses.setdefault(meter.line, VirtualBus([])).meters.append(virtual_meter(meter, clock))
    return buses


def host(name: str, bus: VirtualBus, state: DemoState) -> MeterHost:
    """The wire of a line: a pty, or the TCP port that the state names."""
    if name == "optical":  # in real time: a meter that answers before the baud switch is not understood
        return PtyMeterHost(bus, SETTINGS[name])
    return TcpMeterHost(bus, SETTINGS[name], Wiring(time_scale=_TIME_SCALE), port=state.ports[name])


def main(folder: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = until_told()
    state = DemoState.load(folder)
    with ExitStack() as stack:
        building = build(state.seed, state.born, state.months)
        for name, bus in lines(building, process_clock()).items():
            wire = stack.enter_context(host(name, bus, state))
            if isinstance(wire, PtyMeterHost):
                link = folder / name
                link.unlink(missing_ok=True)
                link.symlink_to(wire.spec)
        (folder / "hosts.ready").touch()
        stop.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
