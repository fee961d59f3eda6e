"""What a central side leaves behind, and what the next one makes of it."""

import json
from pathlib import Path

from hesper.central import Central, Role, running
from hesper.supervise import Program


def test_what_a_killed_one_said_of_itself_is_gone_before_the_next_is_ready(tmp_path: Path) -> None:
    stale = {"pid": 1, "database_url": "x", "broker_host": "h", "broker_port": 1, "api_url": None}
    (tmp_path / "runtime.json").write_text(json.dumps(stale))
    assert running(tmp_path) is None
    seen = []

    def while_starting(central: Central) -> list[Program]:
        seen.append(running(central.data))
        return []

    with Central(tmp_path, roles=[Role.BROKER], database_url=None, extra=while_starting) as central:
        assert running(tmp_path) == central.runtime
    assert seen == [None]
    assert running(tmp_path) is None
