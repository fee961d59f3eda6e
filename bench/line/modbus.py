"""Modbus RTU: a whole SDM630 at 9600 Bd, in planned blocks and one register pair a request.

    T = (8 + 5 + 2n) characters + 2 * t3.5 + the meter's turnaround

The limit is that of three blocks (80 + 16 + 40 registers, 381 ms) and three turnarounds. The driver needs two
blocks; the pause of 100 ms that the family's profile asks for before a request is in the first two figures.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from bench.measurement import Measurement
from drivers.driver import Target
from drivers.line import SerialSettings
from drivers.modbus.blocks import RegisterBlock
from drivers.modbus.exchange import ModbusExchange
from drivers.modbus.master import ModbusDriver
from drivers.modbus.profile import ModbusProfile
from drivers.modbus.profile_file import load_profile
from drivers.modbus.timing import transaction_time
from drivers.modbus.virtual import VirtualModbusMeter
from drivers.simulated import SimulatedLine

SETTINGS = SerialSettings(9600, 8, "E", 1)
TURNAROUND = 0.02
_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_TARGET = Target("7", meter="EAS-22001234", profile="eastron-sdm630")


def measure() -> Iterator[Measurement]:
    """48 values of one meter, on virtual time."""
    limit = sum(transaction_time(SETTINGS, words, turnaround=TURNAROUND) for words in (80, 16, 40))
    profile = load_profile("eastron-sdm630")

    def figure(name: str, seconds: float, wanted: str = "") -> Measurement:
        return Measurement(f"SDM630, 48 values, {name}", 1000 * seconds, "ms", 1000 * limit, wanted)

    yield figure("a scheduled readout", _readout(profile, idle=60.0), "<= 1.05")
    yield figure("readouts one upon the other", _readout(profile, idle=0.0))
    yield figure("a family that needs no pause", _readout(replace(profile, pause=0.0), idle=60.0))
    yield figure("one register pair a request", _pairs(profile))


def _readout(profile: ModbusProfile, *, idle: float) -> float:
    """Seconds of the second readout (the first compared the serial number), `idle` seconds after it."""
    line = SimulatedLine(_meter(profile), SETTINGS)
    driver = ModbusDriver(line, lambda: _NOW, profiles=lambda _: profile)
    driver.read(_TARGET)
    line.wait(idle)
    begun = line.now()
    [readout] = driver.read(_TARGET)
    assert len(readout.values) == len(profile.registers) == 48
    return line.now() - begun


def _pairs(profile: ModbusProfile) -> float:
    """Seconds, without any pause: what a master that plans nothing would take."""
    line = SimulatedLine(_meter(profile), SETTINGS)
    driver = ModbusDriver(line, lambda: _NOW)
    exchange = ModbusExchange(line, driver.transport, driver.tally)
    for register in profile.registers:
        exchange.ask(7, RegisterBlock((register,)), pause=0.0)
    return line.now()


def _meter(profile: ModbusProfile) -> VirtualModbusMeter:
    values = {register.obis: Decimal(position) for position, register in enumerate(profile.registers)}
    return VirtualModbusMeter(7, profile, values, turnaround=TURNAROUND, serial="22001234")
