"""Stored telegrams explained for the pages: the `Decode` that is given to the API, which has no drivers."""

from api.web.telegrams import Telegram, Undecoded
from drivers.errors import DriverError
from drivers.modbus.profile_file import profile_names
from hesper.decode import explain, protocol_of

_NO_PROFILE = (
    "a Modbus telegram says nothing of its registers, and the meter's model in the registry names no profile "
    "(such as SDM630)"
)


def decode(raw: bytes, model: str) -> Telegram:
    """A stored telegram; a Modbus one, which names no registers, by the profile of `model`."""
    protocol = protocol_of(raw)
    needs_profile = protocol is not None and not protocol.self_describing
    profile = _profile_of(model) if needs_profile else None
    try:
        return explain(raw, profile)
    except DriverError as error:
        return Undecoded(_NO_PROFILE if needs_profile and profile is None else str(error))


def _profile_of(model: str) -> str | None:
    """The one profile whose name ends with the model, as eastron-sdm630 does with SDM630."""
    wanted = _compact(model)
    fitting = [name for name in profile_names() if wanted and _compact(name).endswith(wanted)]
    return fitting[0] if len(fitting) == 1 else None


def _compact(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
