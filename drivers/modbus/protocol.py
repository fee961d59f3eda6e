"""Modbus, as others need to know it: its meters say neither who they are nor what their registers mean."""

from collections.abc import Iterator
from typing import ClassVar

from drivers.driver import Target
from drivers.errors import DecodeError
from drivers.line import SerialSettings
from drivers.protocol import CapturedTelegram, MeterProtocol, Problem
from telemetry.explanation import Explanation


class ModbusProtocol(MeterProtocol):
    """Modbus RTU, also through a serial server, and Modbus TCP."""

    name = "modbus"
    master = "ModbusDriver"
    title = "Modbus"
    settings = SerialSettings(9600, 8, "N", 1)
    silence = (
        "is the meter powered, and is this the unit id that its menu shows?",
        "a wrong speed or parity is silence, too: find the meter's own with `hesper gateway scan`",
        "swap the wires A and B (D+ and D-): makers name them both ways",
        "is a resistor of 120 ohms at both ends of the line, and nowhere else?",
    )
    options: ClassVar = {"transport": 'only Modbus has transports; remove it, or write protocol = "modbus"'}
    self_describing = False

    def problems(self, target: Target) -> Iterator[Problem]:
        from drivers.modbus.profile_file import ProfileError, load_profile

        if target.meter is None:
            yield "", 'Modbus meters do not say who they are; write meter = "EAS-12345678" as printed on it'
        if target.profile is None:
            yield "", 'Modbus needs a register map; write profile = "eastron-sdm630" or another profile'
            return
        try:
            load_profile(target.profile)
        except ProfileError as error:
            yield "", f"{error}; {error.advice}"

    def recognises(self, data: bytes) -> bool:
        try:
            from drivers.modbus.capture import captured
        except ModuleNotFoundError:
            return False  # the bare installation, which has no Modbus
        try:
            return bool(captured(data))
        except DecodeError:
            return False

    def explain(self, telegram: CapturedTelegram) -> Explanation:
        from drivers.modbus.explain import explain
        from drivers.modbus.profile_file import load_profile

        if telegram.profile is None:
            raise DecodeError(
                "this is a Modbus telegram, which says nothing of its registers; name the meter's --profile"
            )
        return explain(telegram.data, load_profile(telegram.profile), telegram.first)


PROTOCOL = ModbusProtocol()
