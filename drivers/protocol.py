"""Protocol as its folder declares it: all that others need to know of it, and where the rest is.

`drivers/NAME/protocol.py` holds one as `PROTOCOL`. A declaration is light: what it names is imported when it
is asked for, so a gateway loads only the protocols that it speaks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from drivers.driver import Driver, Target
from drivers.line import SerialSettings
from telemetry.explanation import Explanation

PROTOCOLS = ("dlms", "mbus", "modbus", "optical", "sml")  # the folders that declare one

Problem = tuple[str, str]  # a setting of a meter ("" for the whole), and what to write instead


@dataclass(frozen=True, slots=True)
class CapturedTelegram:
    """Telegram to be explained, with what it does not say itself where its protocol does not describe itself:
    the meter's `profile`, and the address of the `first` register in the first answer.
    """

    data: bytes
    profile: str | None = None
    first: int | None = None


class MeterProtocol(ABC):
    """Protocol of meters.

    `settings`: those that most meters leave the factory with. `silence`: what a person on site can check when
    nobody answers, the likeliest first. `options`: of a line, each with what to tell a line of another
    protocol that has it. `self_describing`: its meters say who they are, and what their values mean.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[SerialSettings]
    silence: ClassVar[tuple[str, ...]]
    options: ClassVar[Mapping[str, str]] = {}
    self_describing: ClassVar[bool] = True
    has_load_profiles: ClassVar[bool] = False
    has_two_keys: ClassVar[bool] = False

    @abstractmethod
    def driver(self) -> type[Driver]:
        """The class of its driver. Loads the master and what it needs."""

    @abstractmethod
    def check_address(self, address: str) -> None:
        """Raises DriverError for what is no address of a meter, with what to write instead."""

    @abstractmethod
    def recognises(self, data: bytes) -> bool:
        """Whether these bytes look like a telegram of this protocol."""

    @abstractmethod
    def explain(self, telegram: CapturedTelegram) -> Explanation:
        """The telegram, down to its last record. Raises DecodeError."""

    def problems(self, target: Target) -> Iterator[Problem]:
        """Settings of a meter that this protocol cannot use, or lacks, beside its address."""
        if target.profile is not None:
            yield "profile", f"{self.name} meters describe themselves; remove the profile"

    def load_profile_problem(self, profile: str | None) -> str | None:  # noqa: ARG002 - some know by the profile
        """The reason why a meter's load profile cannot be read; None where it can."""
        if self.has_load_profiles:
            return None
        return f"{self.name} meters keep no load profile that could be read; remove it"


def protocol_named(name: str) -> MeterProtocol:
    """One of `PROTOCOLS`. Raises ValueError for a name that is not known."""
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    declared: MeterProtocol = import_module(f"drivers.{name}.protocol").PROTOCOL
    return declared


def protocols() -> Iterator[MeterProtocol]:
    """All of them."""
    return map(protocol_named, PROTOCOLS)
