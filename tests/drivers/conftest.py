"""Properties of codecs are about bytes, not about how busy the machine is that checks them."""

from hypothesis import settings

settings.register_profile("drivers", deadline=None)
settings.load_profile("drivers")
