"""Server ids (DIN 43863-5 and its forerunners) as meter ids: who sends.

| bytes | example | meter id |
|---|---|---|
| `0A` or `09`, sector, FLAG letters, block, number of 4 bytes | `0A 01 ISK 00 047A5544` | `ISK-0075126084` |
| `06`, FLAG letters, six bytes | `06 ISK 01027A20E68A` | `ISK-01027A20E68A`, as on the plate |
| `01` and an M-Bus secondary address | `01 A815 98648002 01 02` | `EMH-02806498` |

What has no letters takes those of the list's manufacturer entry, else `XXX`.
"""

from telemetry.meter_id import possible_meter_id

UNKNOWN = "XXX"


def meter_of(server_id: bytes, manufacturer: str = UNKNOWN) -> str | None:
    """The meter id; None for one that names nobody (all zeros, too long)."""
    return possible_meter_id(*_parts(server_id, manufacturer)) if any(server_id) else None


def din_number(server_id: bytes) -> tuple[str, int] | None:
    """(FLAG letters, number) of an id in the form of DIN 43863-5, else None."""
    if len(server_id) != 10 or server_id[0] not in (0x09, 0x0A):
        return None
    letters = _letters(server_id[2:5])
    return (letters, int.from_bytes(server_id[6:], "big")) if letters else None


def _parts(server_id: bytes, manufacturer: str) -> tuple[str, str]:
    if din := din_number(server_id):
        letters, number = din
        return letters, f"{server_id[5]:02X}{number:08d}"
    if len(server_id) == 10 and server_id[0] == 0x06 and (letters := _letters(server_id[1:4])):
        return letters, server_id[4:].hex()
    if len(server_id) == 9 and server_id[0] == 0x01:
        code = int.from_bytes(server_id[1:3], "little")
        packed = bytes((code >> shift & 0x1F) + 0x40 for shift in (10, 5, 0))
        if letters := _letters(packed):
            return letters, server_id[3:7][::-1].hex()
    return manufacturer, server_id.hex()


def _letters(code: bytes) -> str:
    return code.decode("ascii") if code.isalpha() and code.isupper() else ""
