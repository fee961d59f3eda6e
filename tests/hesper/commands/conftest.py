"""Surroundings of the commands: a data folder of their own, and nobody signed in."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder."""
    folder = tmp_path_factory.mktemp("surroundings")
    monkeypatch.setenv("HESPER_DATA", str(folder / "data"))
    monkeypatch.setenv("HESPER_SESSION", str(folder / "session"))
    return folder / "data"
