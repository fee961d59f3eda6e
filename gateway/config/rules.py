"""Contradictions of a configuration whose every value alone is right, each with its place."""

from collections.abc import Iterator

from drivers.driver import Target
from drivers.errors import DriverError
from drivers.protocol import MeterProtocol, protocol_named, protocols
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
            needs = _protocol_needs(protocol_named(line.protocol), config.target(meter))
            for where, message in (*needs, *_meter(config, line, meter)):
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
    for protocol in protocols():
        for option, remark in protocol.options.items():
            if protocol.name != line.protocol and option in line.driver_options:
                yield (option,), remark


def _protocol_needs(protocol: MeterProtocol, target: Target) -> Iterator[Finding]:
    try:
        protocol.check_address(target.address)
    except DriverError as error:
        yield ("address",), f"address {error}; {error.advice}"
    for setting, message in protocol.problems(target):
        yield (setting,) if setting else (), message


def _meter(config: GatewayConfig, line: LineConfig, meter: MeterConfig) -> Iterator[Finding]:
    schedule = config.schedule(line, meter)
    if meter.min_interval and schedule.period < meter.min_interval:
        told = f"schedule {schedule} asks more often than this meter's min_interval allows"
        remedy = 'write a slower one for it, such as schedule = "midnight"'
        yield ("schedule",) if meter.schedule else ("min_interval",), f"{told}; {remedy}"
    protocol = protocol_named(line.protocol)
    if meter.load_profile and (problem := protocol.load_profile_problem(meter.profile)):
        yield ("load_profile",), problem
    elif meter.load_profile and meter.min_interval:
        told = "a meter with min_interval is not to be asked for more"
        yield ("load_profile",), f"{told}; remove one of the two"
    key = meter.key or meter.key_file
    if key and len(key.get_secret_value()) == 64 and not protocol.has_two_keys:
        known = " and ".join(one.title for one in protocols() if one.has_two_keys)
        told = f"only {known} has two keys; write the one of 32 digits"
        yield ("key",) if meter.key else ("key_file",), told
    for name in ("key", "password"):
        if getattr(meter, name) and getattr(meter, f"{name}_file"):
            yield (f"{name}_file",), f"{name} is given already; write one of the two"


def _mqtt(mqtt: MqttConfig) -> Iterator[Finding]:
    if (mqtt.cert is None) != (mqtt.key is None):
        yield (), "cert and key belong together; give both or neither"
    if mqtt.password_file and mqtt.username is None:
        yield ("password_file",), 'there is a password but no user; write username = "..."'
