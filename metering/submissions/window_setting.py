"""Setting of a submission window: a further version of a rule set, with the window at its end."""

import re

from metering.billing.method import BUILT_IN, Method
from metering.billing.rule_set import RulesError, parse_rules
from metering.periods.submission_window import SubmissionWindow

_OWN = f"""# By `hesper submissions window`: the steps that are built in, then what people hand in.
name = "submission-windows"
version = "1"
ladder = [{", ".join(f'"{step}"' for step in (*BUILT_IN, Method.HANDED_IN))}]
"""
_VERSION = re.compile(r'^(version\s*=\s*"[^"]*?)(?:\+(\d+))?"', re.MULTILINE)


def with_window(content: str | None, window: SubmissionWindow) -> str:
    """The rule set (TOML) with a window for one medium; without a rule set one of its own.

    Its version gets a number, since every billing reading shows it. Raises RulesError where the rules would
    not count what is handed in, or have a window from that day on.
    """
    if content is None:
        text = _OWN
    else:
        rules = parse_rules(content)
        if Method.HANDED_IN not in rules.ladder:
            raise RulesError(
                f"the ladder of {rules.label} has no step handed_in, so no window counts: add it to the "
                "file, and `hesper rules apply` that"
            )
        if any(each.since == window.since and each.media == window.media for each in rules.submission):
            raise RulesError(f"a window from {window.since} on is set already; begin a day later")
        text = _VERSION.sub(lambda found: f'{found[1]}+{int(found[2] or 0) + 1}"', content, count=1)
    lines = [
        text.rstrip("\n"),
        "",
        "[[submission]]",
        f"media = {list(window.media)}",
        f"from = {window.since}",
        f"from_day = {window.from_day}",
        f"until_day = {window.until_day}",
        f'late = "{window.late}"',
    ]
    if window.counts_in is not None:
        lines.append(f"counts_in = {window.counts_in}")
    changed = "\n".join(lines) + "\n"
    parse_rules(changed)
    return changed
