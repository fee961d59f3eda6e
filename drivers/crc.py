"""CRC-16 of HDLC and SML (ISO/IEC 13239): X.25, and the Kermit form that some meters compute instead."""


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value


_TABLE = tuple(map(_entry, range(256)))


def x25(data: bytes) -> bytes:
    """CRC-16/X.25 as it goes on the wire, low byte first."""
    return (_register(data, 0xFFFF) ^ 0xFFFF).to_bytes(2, "little")


def kermit(data: bytes) -> bytes:
    """CRC-16/Kermit as it goes on the wire, low byte first."""
    return _register(data, 0).to_bytes(2, "little")


def _register(data: bytes, register: int) -> int:
    for byte in data:
        register = register >> 8 ^ _TABLE[(register ^ byte) & 0xFF]
    return register
