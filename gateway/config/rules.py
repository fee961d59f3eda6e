"""What is wrong with a configuration although every value alone is right, each finding with its place."""

from collections.abc import Iterator

from drivers.modbus.profile_file import ProfileError, load_profile
from drivers.optical.profile import PROFILES as OPTICAL_PROFILES
from drivers.optical.profile import ReadoutMethod
from gateway.config.addresses import address_problem
from gateway.config.document import GatewayConfig, LineConfig, MeterConfig, MqttConfig
from gateway.config.toml_lines import TomlPath

Finding = tuple[TomlPath, str]  # where in the file, and what to write instead


def contradictions(config: GatewayConfig) -> Iterator[Finding]:
    """Everything that contradicts itself or something else, or that the protocol needs and is not there."""
    if not config.line:
        yield ("line",), "there is no line; write [[line]] and what stands below it"
    yield from _shared(config)
    for number, line in enumerate(config.line):
        at: TomlPath = ("line", number)
        for where, message in _line(line):
            yield (*at, *where), message
        for position, meter in enumerate(line.meter):
            for where, message in (*_protocol_needs(line.protocol, meter), *_meter(config, line, meter)):
                yield (*at, "meter", position, *where), message
    for where, message in _mqtt(config.mqtt):
        yield ("mqtt", *where), message


def _shared(config: GatewayConfig) -> Iterator[Finding]:
    """What two lines, or two meters, both claim."""
    names: set[str] = set()
    ports: dict[str, str] = {}
    meters: dict[str, str] = {}
    for number, line in enumerate(config.line):
        if line.name in names:
            yield (
                ("line", number, "name"),
                f"another line is called {line.name!r} already; give each its own name",
            )
        names.add(line.name)
        if line.port in ports:
            yield (
                ("line", number, "port"),
                f"line {ports[line.port]!r} has {line.port} already; put its meters there",
            )
        ports.setdefault(line.port, line.name)
        addresses: dict[str, str] = {}
        for position, meter in enumerate(line.meter):
            here: TomlPath = ("line", number, "meter", position)
            if meter.address in addresses:
                other = addresses[meter.address]
                yield (*here, "address"), f"{other} has address {meter.address!r} on this line, too; mend one"
            addresses.setdefault(meter.address, meter.label)
            if meter.meter and meter.meter in meters:
                yield (
                    (*here, "meter"),
                    f"{meter.meter} is on line {meters[meter.meter]!r} already; remove one",
                )
            if meter.meter:
                meters.setdefault(meter.meter, line.name)


def _line(line: LineConfig) -> Iterator[Finding]:
    if not line.meter:
        yield (), "there is no meter; write a table [[line.meter]] below it"
    if line.transport and line.protocol != "modbus":
        yield ("transport",), 'only Modbus has transports; remove it, or write protocol = "modbus"'
    if line.switch_pause is not None and line.protocol != "optical":
        yield ("switch_pause",), "only optical heads need time to change speed; remove it"


def _protocol_needs(protocol: str, meter: MeterConfig) -> Iterator[Finding]:
    if problem := address_problem(protocol, meter.address):
        yield ("address",), problem
    if protocol == "modbus":
        yield from _modbus_needs(meter)
    elif meter.profile is not None:
        if protocol == "optical":
            if meter.profile not in OPTICAL_PROFILES:
                known = ", ".join(OPTICAL_PROFILES)
                yield ("profile",), f"no optical profile {meter.profile!r}; take one of {known}"
        else:
            yield ("profile",), f"{protocol} meters describe themselves; remove the profile"


def _modbus_needs(meter: MeterConfig) -> Iterator[Finding]:
    if meter.meter is None:
        yield (), 'Modbus meters do not say who they are; write meter = "EAS-12345678" as printed on it'
    if meter.profile is None:
        yield (), 'Modbus needs a register map; write profile = "eastron-sdm630" or another profile'
        return
    try:
        load_profile(meter.profile)
    except ProfileError as error:
        yield (), f"{error}; {error.advice}"


def _meter(config: GatewayConfig, line: LineConfig, meter: MeterConfig) -> Iterator[Finding]:
    schedule = config.schedule(line, meter)
    if meter.min_interval and schedule.period < meter.min_interval:
        told = f"schedule {schedule} asks more often than this meter's min_interval allows"
        remedy = 'write a slower one for it, such as schedule = "midnight"'
        yield ("schedule",) if meter.schedule else ("min_interval",), f"{told}; {remedy}"
    if meter.load_profile and (problem := _load_profile_problem(line, meter)):
        yield ("load_profile",), problem
    key = meter.key or meter.key_file
    if key and len(key.get_secret_value()) == 64 and line.protocol != "dlms":
        yield ("key",) if meter.key else ("key_file",), "only DLMS has two keys; write the one of 32 digits"
    for name in ("key", "password"):
        if getattr(meter, name) and getattr(meter, f"{name}_file"):
            yield (f"{name}_file",), f"{name} is given already; write one of the two"


def _mqtt(mqtt: MqttConfig) -> Iterator[Finding]:
    if (mqtt.cert is None) != (mqtt.key is None):
        yield (), "cert and key belong together; give both or neither"
    if mqtt.password_file and mqtt.username is None:
        yield ("password_file",), 'there is a password but no user; write username = "..."'


def _load_profile_problem(line: LineConfig, meter: MeterConfig) -> str | None:
    if line.protocol not in ("optical", "dlms"):
        return f"{line.protocol} meters keep no load profile that could be read; remove it"
    if meter.min_interval:
        return "a meter with min_interval is not to be asked for more; remove one of the two"
    optical = OPTICAL_PROFILES.get(meter.profile or "iec") if line.protocol == "optical" else None
    if optical and (not optical.load_profile or optical.access is ReadoutMethod.PUSH):
        return f"the optical profile {optical.name!r} knows no load profile; remove it"
    return None
