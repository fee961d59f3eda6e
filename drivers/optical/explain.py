"""IEC 62056-21: the text of a readout, with its identification and framing or without."""

import re
from datetime import UTC

from drivers.errors import DecodeError
from drivers.optical.codec.dataset import DataSet, decode_sets
from drivers.optical.codec.registers import DataSetAddress, registers, ucum_code
from drivers.optical.codec.telegram import ETX, STX, BlockCheck
from telemetry.explanation import ExplainedRecord, Explanation
from telemetry.meter_id import possible_meter_id
from telemetry.obis import Medium

_IDENTIFICATION = re.compile(rb"/(?P<maker>[A-Za-z]{3})[!-~](?P<type>[ -~]{0,64})\r?\n")
_DATA_SET = re.compile(rb"[0-9A-FLP.:*&-]{1,24}\([^()\x00-\x08]*\)")
_PRESENT = 255


def recognises(data: bytes) -> bool:
    """True where this can be such a readout: an identification, or data sets in ASCII."""
    return bool(_IDENTIFICATION.search(data) or _DATA_SET.search(data[:200])) and data.isascii()


def explain(data: bytes) -> Explanation:
    """Explanation of a readout, every data set of it. Raises DecodeError."""
    head = _IDENTIFICATION.search(data)
    maker = head["maker"].decode("ascii").upper() if head else None
    sets = decode_sets(_block(data[head.end() if head else 0 :]))
    if not sets:
        raise DecodeError("a readout without data sets")
    read = registers(sets, UTC)
    return Explanation(
        "optical",
        possible_meter_id(maker, read.serials[0].replace(" ", "")) if maker and read.serials else None,
        maker,
        head["type"].decode("ascii").strip() or None if head else None,
        ["fatal error"] if read.fatal_error else [],
        [_record(one) for one in sets],
    )


def _block(data: bytes) -> bytes:
    """The data sets, checked by the block check character where the framing is there."""
    start, end = data.find(STX), data.find(ETX)
    if 0 <= start < end:
        checked, said = data[start + 1 : end + 1], data[end + 1 : end + 2]
        if said and said[0] not in (BlockCheck.XOR.of(checked), BlockCheck.SUM.of(checked)):
            raise DecodeError(f"block check {said[0]:02X}, computed {BlockCheck.XOR.of(checked):02X}")
        data = data[start + 1 : end]
    return data.lstrip()


def _record(one: DataSet) -> ExplainedRecord:
    address = DataSetAddress.parse(one.address, Medium.ELECTRICITY)
    first = one.values[0]
    is_number = first.number is not None
    known = address is not None and address.obis.definition is not None
    return ExplainedRecord(
        quantity=address.obis.name if address and known else one.address,
        unit=ucum_code(first.unit) or first.unit or None,
        value=f"{first.number:f}" if is_number else ", ".join(value.text for value in one.values) or None,
        obis=str(address.obis) if address and known else None,
        storage=0 if address is None or address.period == _PRESENT else address.period,
    )
