"""Modbus: captured answers, by the profile of the meter that gave them."""

from drivers.modbus.capture import captured, memory_of
from drivers.modbus.profile import ModbusProfile, words_of
from telemetry.explanation import ExplainedRecord, Explanation
from telemetry.micro import from_micro


def explain(data: bytes, profile: ModbusProfile, first: int | None = None) -> Explanation:
    """Explanation of frames (RTU or Modbus TCP, with or without the requests).

    `first` is the address of the first word of the first answer, where no request tells it. Raises
    DecodeError.
    """
    memory = memory_of(captured(data), profile, first)
    identity = profile.identity
    words = words_of(identity, memory) if identity else None
    serial = identity.serial(words) if identity and words else None
    maker = identity.maker if identity else None
    records = [
        ExplainedRecord(
            quantity=register.comment or register.obis,
            unit=register.unit,
            value=None if (shown := register.reading(memory)) is None else f"{from_micro(shown.micro):f}",
            obis=register.obis,
        )
        for register in profile.registers
        if words_of(register, memory) is not None
    ]
    meter = f"{maker}-{serial}" if maker and serial else serial
    return Explanation("modbus", meter, maker, profile.title, [], records)
