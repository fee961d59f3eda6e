"""The registry as the ingester needs it: everything by the names that messages carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from psycopg import Connection

from telemetry.obis import RegisterKind


@dataclass(frozen=True, slots=True)
class KnownGateway:
    """`kind` 'import' may speak for any meter of its utility."""

    gateway_id: int
    utility_id: int
    kind: Literal["field", "import"]


@dataclass(frozen=True, slots=True)
class KnownRegister:
    """`capacity`: micro-units at which the register rolls over to 0, None where that is not known."""

    register_id: int
    meter_id: int
    obis: str
    unit: str
    kind: RegisterKind
    capacity: int | None
    billed: bool


@dataclass(frozen=True, slots=True)
class KnownMeter:
    """`gateway_id` is None where any gateway of the utility may read the meter. `registers` is by OBIS."""

    meter_id: int
    utility_id: int
    code: str
    medium: int
    gateway_id: int | None
    registers: Mapping[str, KnownRegister] = field(default_factory=dict)

    def read_by(self, gateway: KnownGateway) -> bool:
        """True where a reading of this meter is taken from the gateway."""
        return gateway.utility_id == self.utility_id and (
            gateway.kind == "import" or self.gateway_id in (None, gateway.gateway_id)
        )


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """Registry at one moment. Keys begin with the utility's code."""

    utilities: Mapping[str, int]  # code -> id
    gateways: Mapping[tuple[str, str], KnownGateway]  # (utility, gateway)
    meters: Mapping[tuple[str, str], KnownMeter]  # (utility, meter id)

    def register(self, utility: str, meter: str, obis: str) -> KnownRegister | None:
        """The register of a meter, or None where either is not known."""
        known = self.meters.get((utility, meter))
        return known.registers.get(obis) if known else None


def lookup(connection: Connection[Any]) -> RegistrySnapshot:
    """The whole registry, as it is now, in one consistent look. About 0.6 kB a register."""
    with connection.transaction():
        utilities = dict(connection.execute("select code, id from utilities").fetchall())
        codes = {number: code for code, number in utilities.items()}
        gateways = {
            (codes[utility_id], code): KnownGateway(gateway_id, utility_id, kind)
            for gateway_id, utility_id, code, kind in connection.execute(
                "select id, utility_id, code, kind from gateways where utility_id = any(%s)", (list(codes),)
            )
        }
        registers: dict[int, dict[str, KnownRegister]] = {}
        for register in _registers(connection, list(codes)):
            registers.setdefault(register.meter_id, {})[register.obis] = register
        meters = {
            (codes[utility_id], code): KnownMeter(
                meter_id, utility_id, code, medium, gateway_id, registers.get(meter_id, {})
            )
            for meter_id, utility_id, code, medium, gateway_id in connection.execute(
                "select id, utility_id, code, medium, gateway_id from meters where utility_id = any(%s)",
                (list(codes),),
            )
        }
    return RegistrySnapshot(utilities, gateways, meters)


def meter_registers(connection: Connection[Any], meter_id: int) -> dict[str, KnownRegister]:
    """The registers of one meter by OBIS, as they are now."""
    rows = connection.execute(f"{_REGISTER_COLUMNS} where meter_id = %s", (meter_id,))
    return {register.obis: register for register in map(known_register, rows)}


_REGISTER_COLUMNS = "select id, meter_id, obis, unit, kind, capacity, billed from registers"


def _registers(connection: Connection[Any], utilities: list[int]) -> list[KnownRegister]:
    rows = connection.execute(f"{_REGISTER_COLUMNS} where utility_id = any(%s)", (utilities,))
    return [known_register(row) for row in rows]


def known_register(row: tuple[Any, ...]) -> KnownRegister:
    """The register of a row (id, meter_id, obis, unit, kind, capacity, billed)."""
    register_id, meter_id, obis, unit, kind, capacity, billed = row
    return KnownRegister(register_id, meter_id, obis, unit, RegisterKind(kind), capacity, billed)
