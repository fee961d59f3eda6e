"""Rules that a schema sets for the order of elements."""

import re


def follows(names: list[str], model: str) -> bool:
    """Whether elements come in the order of a sequence such as 'a b? c*'."""
    parts = [
        f"(?:{word.rstrip('?*')} ){word[-1]}" if word[-1] in "?*" else f"{word} " for word in model.split()
    ]
    return re.fullmatch("".join(parts), "".join(f"{name} " for name in names)) is not None
