"""Which family a meter belongs to: a guess for finding profiles, since Modbus itself names no maker."""

from drivers.errors import MeterError
from drivers.modbus.blocks import Block
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import Profile


def probe(
    driver: ModbusDriver, unit: int, profile: Profile, *, timeout: float | None = None, retries: int = 0
) -> bool:
    """Whether the meter at `unit` shows what this family's meters show; stops at the first check that fails.

    False also for a profile without a probe, and for a meter that refuses a request. `timeout` in seconds,
    None for the protocol's own. Raises NoAnswerError where no meter answers, and other DriverErrors of the
    line: whether silence means "no meter" or "no such register" is for the caller to find out. Families that
    pass each other's probes are named in `Probe.shared`.
    """
    if profile.probe is None:
        return False
    for check in profile.probe.checks:
        block = Block((check.register,))
        try:
            answer = driver.ask(unit, block, pause=profile.pause, timeout=timeout, retries=retries)
        except MeterError:
            return False
        if answer.exception is not None or not check.holds(list(answer.registers)):
            return False
    return True
