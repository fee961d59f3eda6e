"""Errors between a gateway and a meter. Each says who broke the exchange.

DriverError
├── LineError             the port or socket is gone; every meter on the line is affected
├── NoAnswerError         silence: meter absent, wrong address, wrong baud, swapped wires
├── GarbledAnswerError    bytes came, but no telegram: noise, collision, wrong parity
├── MeterError            the meter answered that it cannot (busy, exception code, ERnn)
├── UnsupportedError      this protocol or meter has no way to do what was asked
└── DecodeError           a well-framed telegram whose content breaks the protocol's rules
"""


class DriverError(Exception):
    """Base of all; `advice` tells an installer what to try."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        if advice:
            self.advice = advice


class LineError(DriverError):
    """The line itself failed."""

    advice = "check that the port or serial server exists, is free, and may be opened by this user"


class NoAnswerError(DriverError):
    """Nothing came back in time."""

    advice = "check the address, the baud rate and parity, the wiring (A/B swapped?) and the meter's supply"


class GarbledAnswerError(DriverError):
    """Answer that is not a telegram. `received` holds it."""

    advice = "check parity and baud rate, termination of the line, and that no two meters share the address"

    def __init__(self, message: str, received: bytes, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.received = received


class MeterError(DriverError):
    """The meter's own refusal. `code` is the protocol's number for it; `retry`: asking later can help."""

    def __init__(self, message: str, code: int, *, retry: bool = False, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.code = code
        self.retry = retry


class UnsupportedError(DriverError):
    """Request for something that does not exist in this protocol, or not in this meter."""

    advice = "use another way: this one does not exist for this kind of meter"


class DecodeError(DriverError, ValueError):
    """A codec's only exception. `offset` is the byte at which the rules were broken, if one can be named."""

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.offset = offset
