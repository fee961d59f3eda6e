"""What the demo keeps between starts, in its folder: `building.json`."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from hesper.demo.building import HISTORY_MONTHS

_NAME = "building.json"


@dataclass(frozen=True, slots=True)
class DemoState:
    """Birth of the building: `seed`, instant, and full `months` of history before it.

    `history_until`: up to when history was published. `ports`: line name -> TCP port of this run.
    """

    seed: int
    born: datetime
    history_until: datetime | None = None
    ports: dict[str, int] = field(default_factory=dict)
    months: int = HISTORY_MONTHS

    @classmethod
    def load(cls, folder: Path) -> "DemoState":
        """Raises FileNotFoundError before the first start."""
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=cls)

    def save(self, folder: Path) -> "DemoState":
        """Written aside and renamed, so that a killed demo leaves a whole file."""
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / (_NAME + ".new")
        fresh.write_bytes(msgspec.json.encode(self))
        fresh.rename(folder / _NAME)
        return self
