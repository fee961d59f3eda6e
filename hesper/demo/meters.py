"""The building's meters as virtual meters that speak their protocols, showing what the model says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from drivers.catalogue import open_driver
from drivers.driver import Clock, Target
from drivers.line import SerialSettings, VirtualMeter
from drivers.mbus.codec.dif import Coding
from drivers.mbus.codec.encode import date_record, record
from drivers.mbus.codec.header import Header
from drivers.mbus.codec.telegram import encode_telegram
from drivers.mbus.codec.vif import ENERGY, FLOW_TEMPERATURE, POWER, RETURN_TEMPERATURE, VOLUME
from drivers.mbus.virtual import VirtualMBusMeter
from drivers.modbus.profile_file import load_profile
from drivers.modbus.virtual import VirtualModbusMeter
from drivers.optical.codec.dataset import DataSet, Value
from drivers.optical.codec.telegram import Identification
from drivers.optical.virtual import VirtualOpticalMeter
from drivers.simulated import SimulatedLine
from hesper.demo.building import POWER as POWER_REGISTER
from hesper.demo.building import TIME_ZONE, BuildingMeter, month_start
from hesper.demo.consumption import season
from telemetry.meter_id import split_meter_id
from telemetry.micro import from_micro
from telemetry.obis import Medium
from telemetry.readout import Readout

PROTOCOLS = {"water": "mbus", "heat": "mbus", "electricity": "modbus", "optical": "optical"}
SETTINGS = {
    "water": SerialSettings(2400, 8, "E", 1),
    "heat": SerialSettings(2400, 8, "E", 1),
    "electricity": SerialSettings(9600, 8, "N", 1),
    "optical": SerialSettings(300, 7, "E", 1),
}

_MBUS_MEDIA = {Medium.COLD_WATER: 0x16, Medium.HOT_WATER: 0x15, Medium.HEAT: 0x04}
_LITRE = Decimal("0.001")
_WATER_HOLDS = Decimal("1.163")  # kWh a cubic metre and kelvin
_COOLING = Decimal(20)  # kelvin, from flow to return
_ROOM = Decimal(22)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def virtual_meter(meter: BuildingMeter, clock: Clock) -> VirtualMeter:
    """The other end of the wire for one meter; it shows what the model says at `clock()`."""
    match PROTOCOLS[meter.line]:
        case "mbus":
            return VirtualMBusMeter(meter.address, lambda: [mbus_telegram(meter, clock())])
        case "modbus":
            assert meter.profile is not None
            return VirtualModbusMeter(
                meter.address, load_profile(meter.profile), _modbus_values(meter, clock)
            )
        case _:
            return _optical(meter, clock)


def target(meter: BuildingMeter) -> Target:
    """How a gateway's configuration names the meter."""
    address = "" if meter.line == "optical" else str(meter.address)
    return Target(address, meter.meter, meter.profile, time_zone=TIME_ZONE)


def mbus_telegram(meter: BuildingMeter, now: datetime) -> bytes:
    """RSP_UD with the register now and at the beginning of the month (storage 1, date type G)."""
    manufacturer, serial = split_meter_id(meter.meter)
    set_day = month_start(now)
    records = [date_record(now.astimezone(TIME_ZONE))]
    if meter.medium is Medium.HEAT:
        records += _heat_records(meter, now)
    else:
        records.append(_volume(meter.value(now)))
    if meter.installed_from is None or meter.installed_from <= set_day:
        then = meter.value(set_day)
        records.append(_energy(then, storage=1) if meter.medium is Medium.HEAT else _volume(then, storage=1))
        records.append(date_record(set_day.astimezone(TIME_ZONE).date(), storage=1))
    access = int(now.timestamp()) % 256
    header = Header(serial, manufacturer, 0x31, _MBUS_MEDIA[meter.medium], access_number=access)
    return encode_telegram(meter.address, header, b"".join(records))


def _volume(micro: int, *, storage: int = 0) -> bytes:
    return record(VOLUME, from_micro(micro), "m3", resolution=_LITRE, storage=storage)


def _energy(micro: int, *, storage: int = 0) -> bytes:
    return record(ENERGY, from_micro(micro), "kW.h", resolution=Decimal(1), storage=storage)


def _heat_records(meter: BuildingMeter, now: datetime) -> list[bytes]:
    """Energy, and what goes with it: the water that carries it, and temperatures that follow the weather."""
    energy = meter.value(now)
    yesterday = now - timedelta(days=1)
    last_day = max(0, energy - meter.value(max(yesterday, meter.installed_from or yesterday)))
    kilowatts = from_micro(last_day) / 24
    flow, back = _ROOM, _ROOM  # pipes in which nothing flows
    if last_day:
        flow = 40 + 20 * Decimal(season((now - _EPOCH).days))
        back = flow - _COOLING
    return [
        _energy(energy),
        record(VOLUME, from_micro(energy) / (_WATER_HOLDS * _COOLING), "m3", resolution=_LITRE),
        record(POWER, kilowatts * 1000, "W", resolution=Decimal(1)),
        record(FLOW_TEMPERATURE, flow, "Cel", resolution=Decimal("0.1"), coding=Coding.BCD4),
        record(RETURN_TEMPERATURE, back, "Cel", resolution=Decimal("0.1"), coding=Coding.BCD4),
    ]


def _modbus_values(meter: BuildingMeter, clock: Clock) -> Callable[[], dict[str, Decimal]]:
    def values() -> dict[str, Decimal]:
        now = clock()
        imported = from_micro(meter.value(now))
        watts = from_micro(meter.value(now) - meter.value(now - timedelta(hours=1))) * 1000
        volts = Decimal("230.4")
        amperes = (max(watts, Decimal(0)) / volts).quantize(Decimal("0.01"))
        profile_has = {register.obis for register in load_profile(meter.profile or "").registers}
        shown = {
            POWER_REGISTER: imported,
            "1-0:2.8.0": Decimal(0),
            "1-0:16.7.0": max(watts, Decimal(0)).quantize(Decimal("0.1")),
            "1-0:32.7.0": volts,
            "1-0:31.7.0": amperes,
            "1-0:14.7.0": Decimal("50.02"),
        }
        return {obis: value for obis, value in shown.items() if obis in profile_has}

    return values


def _optical(meter: BuildingMeter, clock: Clock) -> VirtualMeter:
    """Mode C at 9600 Bd; the upper-case third letter means that it takes 200 ms to react."""
    manufacturer, serial = split_meter_id(meter.meter)

    def sets() -> list[DataSet]:
        kilowatt_hours = f"{from_micro(meter.value(clock())):010.3f}"
        return [
            DataSet("F.F", (Value("00000000"),)),
            DataSet("0.0.0", (Value(serial),)),
            DataSet("1.8.0", (Value(kilowatt_hours, "kWh"),)),
            DataSet("2.8.0", (Value("000000.000", "kWh"),)),
            DataSet("32.7.0", (Value("230.4", "V"),)),
        ]

    return VirtualOpticalMeter(Identification(manufacturer, "5", meter.model), sets)


def read_at(meter: BuildingMeter, at: datetime) -> list[Readout]:
    """What a gateway would have read at an instant: the real driver and telegrams, on a simulated line."""

    def clock() -> datetime:
        return at

    line = SimulatedLine(virtual_meter(meter, clock), SETTINGS[meter.line])
    return open_driver(PROTOCOLS[meter.line], line, clock).read(target(meter))
