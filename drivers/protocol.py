"""Protocol as its folder declares it: all that others need to know of it, and where the rest is.

`drivers/NAME/protocol.py` holds one as `PROTOCOL`. A declaration is light: what it names is imported when it
is asked for, so a gateway loads only the protocols that it speaks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

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
    """Protocol of meters; its folder has `parse_address` in address.py and `explain` in explain.py, usually.

    `settings`: those that most meters leave the factory with. `silence`: what a person on site can check when
    nobody answers, the likeliest first. `options`: of a line, each with what to tell a line of another
    protocol that has it. `self_describing`: its meters say who they are, and what their values mean.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    master: ClassVar[str]  # the class in master.py
    settings: ClassVar[SerialSettings]
    silence: ClassVar[tuple[str, ...]]
    options: ClassVar[Mapping[str, str]] = {}
    self_describing: ClassVar[bool] = True
    has_load_profiles: ClassVar[bool] = False
    has_two_keys: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, data: bytes) -> bool:
        """True for bytes that look like a telegram of this protocol."""

    def driver(self) -> type[Driver]:
        """The class of its driver. Loads the master and what it needs."""
        driver: type[Driver] = self._part("master", self.master)
        return driver

    def check_address(self, address: str) -> None:
        """Raises DriverError for what is no address of a meter, with what to write instead."""
        self._part("address", "parse_address")(address)

    def explain(self, telegram: CapturedTelegram) -> Explanation:
        """The telegram, down to its last record. Raises DecodeError."""
        explanation: Explanation = self._part("explain", "explain")(telegram.data)
        return explanation

    def problems(self, target: Target) -> Iterator[Problem]:
        """Settings of a meter that this protocol cannot use, or lacks, beside its address."""
        if target.profile is not None:
            yield "profile", f"{self.name} meters describe themselves; remove the profile"

    def load_profile_problem(self, profile: str | None) -> str | None:  # noqa: ARG002 - some know by the profile
        """The reason why a meter's load profile cannot be read; None where it can."""
        if self.has_load_profiles:
            return None
        return f"{self.name} meters keep no load profile that could be read; remove it"

    def _part(self, module: str, name: str) -> Any:
        return getattr(import_module(f"drivers.{self.name}.{module}"), name)


def protocol_named(name: str) -> MeterProtocol:
    """One of `PROTOCOLS`. Raises ValueError for a name that is not known."""
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    declared: MeterProtocol = import_module(f"drivers.{name}.protocol").PROTOCOL
    return declared


def protocols() -> Iterator[MeterProtocol]:
    return map(protocol_named, PROTOCOLS)
