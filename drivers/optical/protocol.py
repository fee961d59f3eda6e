"""IEC 62056-21, as others need to know it."""

from collections.abc import Iterator
from typing import ClassVar

from drivers.driver import Target
from drivers.line import SerialSettings
from drivers.protocol import MeterProtocol, Problem


class OpticalProtocol(MeterProtocol):
    """IEC 62056-21, through an optical head or on a serial line."""

    name = "optical"
    master = "OpticalDriver"
    title = "IEC 62056-21"
    settings = SerialSettings(300, 7, "E", 1)
    silence = (
        "is the optical head on the meter's port, its cable pointing down, and held by the magnet?",
        "some meters answer only while a button is held or their display is lit",
        "leave the address empty for the only meter; with an address others stay silent",
    )
    options: ClassVar = {"switch_pause": "only optical heads need time to change speed; remove it"}
    has_load_profiles = True

    def check_address(self, address: str) -> None:
        self._part("session", "sign_on_of")(address)

    def problems(self, target: Target) -> Iterator[Problem]:
        from drivers.optical.profile import PROFILES

        if target.profile is not None and target.profile not in PROFILES:
            yield "profile", f"no optical profile {target.profile!r}; take one of {', '.join(PROFILES)}"

    def load_profile_problem(self, profile: str | None) -> str | None:
        from drivers.optical.profile import PROFILES, ReadoutMethod

        known = PROFILES.get(profile or "iec")
        if known and (not known.load_profile or known.access is ReadoutMethod.PUSH):
            return f"the optical profile {known.name!r} knows no load profile; remove it"
        return None

    def recognises(self, data: bytes) -> bool:
        from drivers.optical.explain import recognises

        return recognises(data)


PROTOCOL = OpticalProtocol()
