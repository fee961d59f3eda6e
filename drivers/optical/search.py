"""Looking for meters: sign-on without an address and with those that are given, and listening for mode D."""

from collections.abc import Iterator
from datetime import UTC

from drivers.driver import Found, SearchEvent, SearchProgress, SearchScope, Suspicion, Tally, Target
from drivers.errors import DecodeError, DriverError, GarbledAnswerError, NoAnswerError, UnsupportedError
from drivers.line import Line, SerialSettings
from drivers.optical.codec.dataset import DataSet
from drivers.optical.codec.registers import registers
from drivers.optical.codec.telegram import MODE_B_BAUDS, MODE_C_BAUDS, Identification, Mode, TelegramReader
from drivers.optical.profile import PROFILES, OpticalProfile
from drivers.optical.push import next_push
from drivers.optical.readouts import meter_id_of
from drivers.optical.session import OpticalSession
from drivers.optical.wire import fall_silent

# Optical heads; meters on RS-485 or a current loop whose interface has a fixed speed
_SIGN_ON = (SerialSettings(300, 7, "E", 1), SerialSettings(9600, 7, "E", 1), SerialSettings(9600, 8, "N", 1))
_PUSH = (SerialSettings(2400, 7, "E", 1), SerialSettings(9600, 7, "E", 1))
_LISTEN = 5.0  # seconds: most meters of mode D send every 1 to 4 s
_MOST_ADDRESSES = 1000
_SML = b"\x1b\x1b\x1b\x1b"
_ENERGOMERA = "EKT"


def search(line: Line, home: SerialSettings, scope: SearchScope, tally: Tally) -> Iterator[SearchEvent]:
    settings = list(scope.settings) or (list(_SIGN_ON) if line.can_switch else [home])
    listening = list(scope.settings) or (list(_PUSH) if line.can_switch else [home])
    addresses = ["", *_each(scope)]
    total = len(settings) * len(addresses) + len(listening)
    done = 0
    try:
        for at in settings:
            for address in addresses:
                yield SearchProgress(
                    done, total, f"{at}, {f'address {address}' if address else 'no address'}"
                )
                done += 1
                line.configure(at)
                yield from _call(line, at, Target(address, timeout=scope.timeout), tally)
        for at in listening:
            yield SearchProgress(done, total, f"{at}, listening")
            done += 1
            line.configure(at)
            yield from _overhear(line, at, scope.timeout or _LISTEN, tally)
        yield SearchProgress(done, total, "done")
    finally:
        line.configure(home)


def _each(scope: SearchScope) -> Iterator[str]:
    """The addresses one by one: '1-20' stands for twenty of them."""
    for text in scope.addresses:
        first, dash, last = text.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            if int(last) - int(first) >= _MOST_ADDRESSES:
                raise DriverError(
                    f"{text} are too many addresses to call one by one",
                    advice=f"give at most {_MOST_ADDRESSES}: a meter that is absent costs two seconds",
                )
            yield from (str(number) for number in range(int(first), int(last) + 1))
        else:
            yield text


def _call(line: Line, at: SerialSettings, target: Target, tally: Tally) -> Iterator[SearchEvent]:
    """Sign on, and take the readout of who answers, for the serial number is in there."""
    sets: list[DataSet] = []
    failure: DriverError | None = None
    try:
        with OpticalSession(line, target, PROFILES["iec"], tally) as session:
            identification = session.sign_on()
            profile = _guess(identification)
            session.adopt(profile)
            session.agree_on_readout()
            try:
                sets = profile.translate(session.readout().sets)
            except (NoAnswerError, GarbledAnswerError, DecodeError) as error:
                failure = error
    except NoAnswerError:
        return
    except UnsupportedError as error:
        yield Suspicion(target.address, at, str(error), error.advice)
        return
    except GarbledAnswerError as error:
        fall_silent(line)
        yield Suspicion(target.address, at, str(error), _advice(error.received))
        return
    if failure is not None:
        fall_silent(line)
        yield Suspicion(
            target.address,
            at,
            f"{_described(identification)} identified itself, but its readout cannot be read: {failure}",
            "where several meters share the wire, give their addresses; else try another profile",
        )
    else:
        yield _found(target.address, at, identification, profile, sets)


def _overhear(line: Line, at: SerialSettings, patience: float, tally: Tally) -> Iterator[SearchEvent]:
    line.discard()
    try:
        push = next_push(line, tally, patience)
    except NoAnswerError:
        return
    except GarbledAnswerError as error:
        yield Suspicion("", at, str(error), _advice(error.received))
    except DecodeError as error:
        yield Suspicion("", at, str(error), "a damaged telegram: check how the head sits, and listen again")
    else:
        yield _found("", at, push.identification, PROFILES["iec-push"], push.sets)


def _found(
    address: str,
    at: SerialSettings,
    identification: Identification,
    profile: OpticalProfile,
    sets: list[DataSet],
) -> Found:
    serials = [*registers(sets, UTC).serials, *([address] if address else [])]
    meter = next((one for serial in serials if (one := meter_id_of(identification, serial))), None)
    mode = Mode.D if profile.name == "iec-push" else identification.mode
    description = f"{_described(identification)}, {_speed(mode, identification)}"
    return Found(address, at, meter, profile.name, description)


def _guess(identification: Identification) -> OpticalProfile:
    """By the maker, and the type that meters of other makers' labels carry, too."""
    is_energomera = identification.manufacturer.upper() == _ENERGOMERA or identification.type.startswith("CE")
    return PROFILES["energomera" if is_energomera else "iec"]


def _described(identification: Identification) -> str:
    return f"{identification.manufacturer} {identification.type}".strip()


def _speed(mode: Mode, identification: Identification) -> str:
    bauds = {Mode.B: MODE_B_BAUDS, Mode.C: MODE_C_BAUDS}.get(mode, {})
    offered = f", offers {bauds[identification.baud]} Bd" if identification.baud in bauds else ""
    hdlc = ", also DLMS/COSEM (mode E)" if identification.type.startswith("\\2") else ""
    return f"mode {mode}{offered}{hdlc}"


def _advice(received: bytes) -> str:
    """What to try after bytes that are no telegram."""
    if _SML in received:
        return "these bytes are SML: read the meter with protocol sml"
    reader = TelegramReader()
    reader.add(bytes(byte & 0x7F for byte in received))
    if reader.identification() is not None:
        return "without their eighth bit the bytes are an identification: set 7 bits and even parity (7E1)"
    return (
        "several meters may have answered at once: give their addresses; "
        "else the meter uses another speed or parity (300 7E1, 9600 7E1, 9600 8N1)"
    )
