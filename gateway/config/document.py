"""Configuration of a gateway, as models. `file.py` reads it; gateway/README.md shows a whole one.

Frozen models: a change is a new configuration (`GatewayProcess.apply`), or a new process.
"""

import re
from datetime import UTC, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
)

from drivers.catalogue import open_line
from drivers.driver import Target
from drivers.errors import LineError
from drivers.line import SerialSettings
from drivers.protocol import PROTOCOLS, protocol_named
from gateway.buffer.source import BufferLimits
from gateway.schedule import Schedule, parse_interval, parse_schedule
from gateway.uplink.link import MqttSettings
from gateway.uplink.tls import Tls
from telemetry.meter_id import check_meter_id
from telemetry.topics import check_segment

_AES_KEY = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{64}")
# validation context
FOLDER = "folder"  # the configuration's own, from which relative paths count
ELSEWHERE = "elsewhere"  # it is for another machine: the files that it names are not looked for here

# what a configuration from afar has to have as the installer's file does
FIXED = ("utility", "gateway", "mqtt", "remote")  # a wrong one could lock the gateway out for good
NEEDS_RESTART = ("utility", "gateway", "mqtt", "buffer", "clock", "clock_wait")
_ANY_KEY = "0" * 32  # stands in for what is in a file on another machine


def _protocol(text: str) -> str:
    if text not in PROTOCOLS:
        raise ValueError(
            f"protocol {text!r} is not known; use {', '.join(PROTOCOLS[:-1])} or {PROTOCOLS[-1]}"
        )
    return text


def _line_spec(text: str) -> str:
    try:
        open_line(text, SerialSettings())
    except LineError as error:
        raise ValueError(f"{error}; {error.advice}") from None
    return text


def _settings(text: object) -> SerialSettings | None:
    if text is None or isinstance(text, SerialSettings):
        return text
    return SerialSettings.parse(str(text))


def _zone(name: object) -> ZoneInfo:
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"time_zone {name!r} is not known; use a name such as 'Europe/Berlin'") from None


def _schedule(value: object) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError('schedule is a text or several; write schedule = "15min", or ["1h", "midnight"]')
    parse_schedule(texts, UTC)
    return tuple(texts)


def _interval(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_interval(str(value))


def _path(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get(FOLDER, Path())
    return folder / path.expanduser()


def _existing(path: Path, info: ValidationInfo) -> Path:
    if not _elsewhere(info) and not path.is_file():
        raise ValueError(
            f"there is no file {path}; check the path, which counts from the configuration's folder"
        )
    return path


def _elsewhere(info: ValidationInfo) -> bool:
    return bool((info.context or {}).get(ELSEWHERE))


def _content(path: object, info: ValidationInfo) -> str:
    """Of the file that a secret stands in."""
    if not isinstance(path, str):
        raise ValueError(f"{info.field_name} is the path of a file; write it in quotes")
    file = _existing(_path(Path(path), info), info)
    if _elsewhere(info):
        return _ANY_KEY
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{file} cannot be read as text; check its content and rights") from None


def _aes_key(key: SecretStr) -> SecretStr:
    if not _AES_KEY.fullmatch(key.get_secret_value()):
        raise ValueError(
            "a meter's key is 32 hexadecimal digits (AES-128), as its supplier gave it; "
            "for DLMS also 64, the encryption key and then the authentication key"
        )
    return key


Segment = Annotated[str, AfterValidator(check_segment)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
ScheduleTexts = Annotated[tuple[str, ...], BeforeValidator(_schedule)]
Interval = Annotated[timedelta, BeforeValidator(_interval)]
Key = Annotated[SecretStr, AfterValidator(_aes_key)]
Address = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
ConfigPath = Annotated[Path, AfterValidator(_path)]
ConfigFile = Annotated[Path, AfterValidator(_path), AfterValidator(_existing)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class MeterConfig(_Table):
    """Meter of a line, `[[line.meter]]`. `timeout` in seconds, None for the protocol's own; `schedule` None
    for the line's.

    `min_interval`: a battery meter may not be asked more often. `key` and `password` are secrets, which
    nothing shows; in `key_file` and `password_file` is their content, whose path the file names.
    `load_profile`: fetch also the periods that the meter keeps itself.
    """

    address: Address = ""
    meter: Annotated[str, AfterValidator(check_meter_id)] | None = None
    profile: str | None = None
    schedule: ScheduleTexts | None = None
    min_interval: Interval | None = None
    timeout: Annotated[float, Field(gt=0, le=60)] | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    load_profile: bool = False
    key: Key | None = None
    key_file: Annotated[Key, BeforeValidator(_content)] | None = None
    password: SecretStr | None = None
    password_file: Annotated[SecretStr, BeforeValidator(_content)] | None = None

    @property
    def label(self) -> str:
        return self.meter or f"address {self.address}"


class LineConfig(_Table):
    """Line, `[[line]]`: a serial port or TCP socket. `settings` None for the protocol's usual ones.

    `transport` is for Modbus: "tcp" for Modbus TCP; "rtu", the default, also through a TCP serial server.
    `switch_pause`, seconds, is for optical heads that need time before they can change speed.
    """

    name: Annotated[str, Field(min_length=1, max_length=64, examples=["basement"])]
    port: Annotated[
        str, AfterValidator(_line_spec), Field(examples=["/dev/ttyUSB0", "tcp://192.168.1.20:5000"])
    ]
    protocol: Annotated[str, AfterValidator(_protocol), Field(examples=["mbus"])]
    settings: Annotated[SerialSettings | None, BeforeValidator(_settings)] = None
    transport: Literal["rtu", "tcp"] | None = None
    switch_pause: Annotated[float, Field(ge=0, le=2)] | None = None
    schedule: ScheduleTexts = ("15min",)
    meter: tuple[MeterConfig, ...]

    @property
    def serial_settings(self) -> SerialSettings:
        return self.settings or protocol_named(self.protocol).settings

    @property
    def driver_options(self) -> dict[str, object]:
        """Options of the protocol's driver beside line and clock."""
        options = {"transport": self.transport, "switch_pause": self.switch_pause}
        return {name: value for name, value in options.items() if value is not None}


class MqttConfig(_Table):
    """Broker, `[mqtt]`. `ca`, `cert` and `key` in PEM; any of them, or `tls = true`, turns TLS on."""

    host: Annotated[str, Field(min_length=1, examples=["mqtt.example.org"])]
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    tls: bool = False
    ca: ConfigFile | None = None
    cert: ConfigFile | None = None
    key: ConfigFile | None = None
    username: str | None = None
    password_file: ConfigFile | None = None


class BufferConfig(_Table):
    """Buffer, `[buffer]`: it keeps readouts until they are acknowledged, and a while longer as a history."""

    path: ConfigPath = Field(examples=["/var/lib/hesper/buffer.sqlite"])
    max_days: Annotated[int, Field(ge=1, le=3_660)] = BufferLimits().days
    max_megabytes: Annotated[int, Field(ge=10, le=1_000_000)] = BufferLimits().bytes // 1_000_000

    @property
    def limits(self) -> BufferLimits:
        return BufferLimits(days=self.max_days, bytes=self.max_megabytes * 1_000_000)


class RemoteConfig(_Table):
    """Rights of the central side, `[remote]`. Only the installer's file can say so.

    `set_clock`: set meters' clocks. `commands_per_minute`: more are refused; 0 takes none.
    """

    set_clock: bool = False
    commands_per_minute: Annotated[int, Field(ge=0, le=600)] = 30


class GatewayConfig(_Table):
    """The whole file. `clock` "trusted": the clock is right although the kernel does not say so.

    `clock_wait`: how long readouts wait for a clock that is not set yet. `meter_clock_limit`: how wrong a
    meter's clock may be before the log says so.
    """

    utility: Annotated[Segment, Field(examples=["stadtwerke"])]
    gateway: Annotated[Segment, Field(examples=["gw-7"])]
    time_zone: Annotated[Zone, Field(examples=["Europe/Berlin"])]
    clock: Literal["ntp", "trusted"] = "ntp"
    clock_wait: Interval = timedelta(hours=1)
    meter_clock_limit: Interval = timedelta(seconds=120)
    mqtt: MqttConfig
    buffer: BufferConfig
    remote: RemoteConfig = RemoteConfig()
    line: tuple[LineConfig, ...]

    @property
    def mqtt_settings(self) -> MqttSettings:
        mqtt = self.mqtt
        tls = Tls(mqtt.ca, mqtt.cert, mqtt.key) if mqtt.tls or mqtt.ca or mqtt.cert else None
        return MqttSettings(
            host=mqtt.host,
            port=mqtt.port,
            utility=self.utility,
            gateway=self.gateway,
            tls=tls,
            username=mqtt.username,
            password_file=mqtt.password_file,
        )

    def schedule(self, line: LineConfig, meter: MeterConfig) -> Schedule:
        return parse_schedule(meter.schedule or line.schedule, self.time_zone)

    def target(self, meter: MeterConfig) -> Target:
        key, password = meter.key or meter.key_file, meter.password or meter.password_file
        return Target(
            address=meter.address,
            meter=meter.meter,
            profile=meter.profile,
            time_zone=self.time_zone,
            timeout=meter.timeout,
            retries=meter.retries,
            key=bytes.fromhex(key.get_secret_value()) if key else None,
            password=password.get_secret_value() if password else None,
        )
