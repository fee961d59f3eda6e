"""Commissioning of a meter, only when asked for: a primary address, a speed, an application reset.

EN 13757-2, 5 and EN 13757-3, 4 and 8. A change is acknowledged by the meter, then confirmed by asking it.
"""

from dataclasses import replace

from drivers.driver import IdentityError, Target
from drivers.errors import DriverError, LineError, NoAnswerError, UnsupportedError
from drivers.mbus.codec.frame import PrimaryAddress
from drivers.mbus.codec.telegram import APPLICATION_RESET, BAUD_OF, DATA_SEND, SET_ADDRESS
from drivers.mbus.master import MBusDriver

_CI_OF = {baud: ci for ci, baud in BAUD_OF.items()}


class AddressTakenError(DriverError):
    """Address that a meter was to get, at which somebody answers already."""

    advice = "address taken: choose another one; a search of '1-250' lists those in use"

    def __init__(self, address: int) -> None:
        super().__init__(f"primary address {address} is taken: something answers there")
        self.address = address


def set_address(driver: MBusDriver, target: Target, new: int) -> None:
    """Give the meter a primary address that nobody has, and hear it answer there.

    Raises AddressTakenError, IdentityError if another meter answers at the new address, and DriverError.
    """
    if not 1 <= new <= PrimaryAddress.LAST_PRIMARY:
        raise DriverError(f"{new} is no primary address to give", advice="choose one from 1 to 250")
    meter = driver.identify(target)
    if driver.somebody_at(new, target.timeout):
        raise AddressTakenError(new)
    driver.command(target, DATA_SEND, SET_ADDRESS + bytes((new,)))
    moved = driver.identify(replace(target, address=str(new), meter=None))
    if moved != meter:
        raise IdentityError(meter or target.address, moved or f"a meter without an id at {new}")


def switch_baud(driver: MBusDriver, target: Target, baud: int) -> None:
    """Let the meter speak at another speed, and the line with it. Meters at the old one no longer hear it.

    If the meter does not answer at the new speed, the line goes back to the old one. Raises DriverError.
    """
    if baud not in _CI_OF:
        speeds = ", ".join(map(str, sorted(_CI_OF)))
        raise UnsupportedError(f"M-Bus has no way to ask for {baud} Bd", advice=f"it knows {speeds}")
    line = driver.line
    if not line.can_switch:
        raise UnsupportedError(
            f"{line.name} cannot change its speed",
            advice="set the speed in the serial server's configuration",
        )
    old = line.settings
    driver.command(target, _CI_OF[baud])
    line.configure(replace(old, baud=baud))
    try:
        driver.identify(target)
    except DriverError as error:
        line.configure(old)
        if isinstance(error, LineError):
            raise
        raise NoAnswerError(
            f"address {target.address} acknowledged {baud} Bd, but cannot be read at that speed: {error}",
            advice=f"the line is at {old.baud} Bd again; the meter returns to that by itself within minutes",
        ) from error


def application_reset(driver: MBusDriver, target: Target, subcode: int | None = None) -> None:
    """CI 50: the meter begins its readout anew; a subcode chooses what it sends. Raises DriverError."""
    driver.command(target, APPLICATION_RESET, b"" if subcode is None else bytes((subcode,)))
