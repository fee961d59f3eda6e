"""The registry's document in TOML."""

from pathlib import Path

import pytest

from metering.registry.checks import RegistryError
from metering.registry.document import load


def test_a_missing_file_is_named() -> None:
    with pytest.raises(RegistryError, match=r"nowhere\.toml: cannot be read"):
        load(Path("nowhere.toml"))
