"""What validation stored, in an order of its own: equal where the same was said."""

from typing import Any

from tests.support.town import Town


def judged(town: Town) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that validation said."""
    found = {
        "marks": town.connection.execute(
            "select register_id, measured_at, rule, quality, usable, evidence from marks order by 1, 2, 3"
        ).fetchall(),
        "findings": town.connection.execute(
            """
            select register_id, kind, severity, started_at, ended_at, evidence, state from findings
            order by 1, 2, 4
            """
        ).fetchall(),
        "validated": town.connection.execute(
            "select id, validated_until from registers order by 1"
        ).fetchall(),
    }
    town.connection.commit()
    return found
