"""Plan of a readout's wire time: characters at two speeds, and reaction times."""

from dataclasses import dataclass

from drivers.driver import Target
from drivers.line import SerialSettings
from drivers.optical.codec.telegram import OptionSelect
from drivers.optical.profile import OpticalProfile, ReadoutMethod
from drivers.optical.session import OpticalSession, sign_on_of

# What is planned with before a meter was read: a usual electricity meter
_IDENTIFICATION, _BLOCK = 17, 1500  # characters
_TURNS, _REACTION, _BAUD = 3, 0.2, 9600
_PUSH_PERIOD = 5.0  # seconds from one telegram of mode D to the next
_REGISTER = 50  # characters of a read command and its answer
_PROGRAMMING = 40  # characters of invitation, password, its acknowledgement, and break


@dataclass(frozen=True, slots=True)
class OpticalPlan:
    """Plan: `slow` and `fast` characters, `turns` of `reaction` seconds; `baud` is the agreed speed."""

    slow: int
    fast: int
    turns: int
    reaction: float
    baud: int

    @classmethod
    def of_time(cls, seconds: float) -> "OpticalPlan":
        """The plan of a meter that is waited for, however long its telegram is."""
        return cls(0, 0, 1, seconds, _BAUD)

    def seconds(self, home: SerialSettings) -> float:
        """Wire time on a line whose sign-on goes out at these settings."""
        return (
            self.slow * home.character_time
            + self.turns * self.reaction
            + self.fast * home.bit_times / self.baud
        )


def expected(target: Target, profile: OpticalProfile, home: SerialSettings, can_switch: bool) -> OpticalPlan:
    """The plan for a meter that was not read yet. Raises DriverError for an address that is none."""
    if profile.access is ReadoutMethod.PUSH:
        return OpticalPlan(
            2 * (_IDENTIFICATION + _BLOCK), 0, 2, _PUSH_PERIOD, home.baud
        )  # one confirms the other
    asked = len(sign_on_of(target.address)) + len(OptionSelect().encode())
    baud = _BAUD if can_switch else home.baud
    if profile.access is ReadoutMethod.REGISTERS:
        count = len(profile.registers)
        fast, turns = _PROGRAMMING + count * _REGISTER, _TURNS + 3 + 2 * count
        return OpticalPlan(asked + _IDENTIFICATION, fast, turns, _REACTION, baud)
    return OpticalPlan(asked + _IDENTIFICATION, _BLOCK, _TURNS, _REACTION, baud)


def measured(session: OpticalSession) -> OpticalPlan:
    """The plan that a session has turned out to need."""
    traffic = session.wire.traffic
    return OpticalPlan(
        traffic.slow, traffic.fast, traffic.turns, session.identification.reaction, session.baud
    )
