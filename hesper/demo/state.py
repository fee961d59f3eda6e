"""What the demo keeps between starts, in its folder: `building.json`."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

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
        raw = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        until = raw["history_until"]
        return cls(
            seed=raw["seed"],
            born=datetime.fromisoformat(raw["born"]),
            history_until=None if until is None else datetime.fromisoformat(until),
            ports=raw["ports"],
            months=raw.get("months", HISTORY_MONTHS),
        )

    def save(self, folder: Path) -> "DemoState":
        """Written aside and renamed, so that a killed demo leaves a whole file."""
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / (_NAME + ".new")
        fresh.write_text(json.dumps(asdict(self), default=datetime.isoformat), encoding="utf-8")
        fresh.rename(folder / _NAME)
        return self

    def but(self, **changes: object) -> "DemoState":
        """The same with other fields."""
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by the dataclass's own fields
