"""Sentences for steps that a register should not make, and for none at all
(`anomaly/boundary/negative_step.py`, `reverse_flow.py`, `stuck.py`)."""

from collections.abc import Mapping

from api.words.facts import Facts, Sentence, Told
from api.words.presentation import N_


def _glitch(facts: Facts) -> str:
    low, high = facts.amount("lowest"), facts.amount("highest")
    readings = facts.count("readings", "%(count)s reading", "%(count)s readings")
    said = facts.say("%(readings)s of %(level)s", readings=readings, level=low)
    if low != high:
        said = facts.say("%(readings)s of %(low)s to %(high)s", readings=readings, low=low, high=high)
    if not facts.known("after"):
        return facts.say(
            "%(said)s after %(before)s, and nothing usable since. Never billed.",
            said=said,
            before=facts.level("before"),
        )
    if not facts.known("before"):
        return facts.say(
            "%(said)s before %(after)s. Never billed, and left out of the chart.",
            said=said,
            after=facts.level("after"),
        )
    return facts.say(
        "%(said)s between %(before)s and %(after)s. Never billed, and left out of the chart.",
        said=said,
        before=facts.level("before"),
        after=facts.level("after"),
    )


def _jitter(facts: Facts) -> str:
    return facts.say(
        "%(steps)s back, the largest %(largest)s, %(total)s in all: reverse flow or rounding. Look again if "
        "it grows.",
        steps=facts.count("steps", "%(count)s step", "%(count)s steps"),
        largest=facts.amount("largest"),
        total=facts.amount("total"),
    )


def _rollover(facts: Facts) -> str:
    levels = {"before": facts.level("before"), "after": facts.level("after")}
    if facts.known("capacity"):
        return facts.say(
            "From %(before)s over the register's top of %(top)s to %(after)s. Consumption is counted across "
            "it; there is nothing to do.",
            top=facts.amount("capacity"),
            **levels,
        )
    return facts.say(
        "From %(before)s over the register's top to %(after)s. Consumption is counted across it; there is "
        "nothing to do.",
        **levels,
    )


def _reset(facts: Facts) -> str:
    return facts.say(
        "Fell from %(before)s to %(after)s and counts on from there. The month cannot be billed until the "
        "last and the first value are entered as two installations.",
        before=facts.level("before"),
        after=facts.level("after"),
    )


def _swap(facts: Facts) -> str:
    levels = {"before": facts.level("before"), "after": facts.level("after")}
    if str(facts.values["pattern"]) == "mix-up":
        return facts.say(
            "Two levels in turn between %(before)s and %(after)s, the other one %(visits)s, from %(low)s to "
            "%(high)s. Does another meter answer at this address?",
            visits=facts.count("visits", "%(count)s time", "%(count)s times"),
            low=facts.amount("lowest"),
            high=facts.amount("highest"),
            **levels,
        )
    return facts.say(
        "From %(before)s on to %(after)s, another level altogether. If the meter was exchanged, enter both "
        "meters' installations in the registry.",
        **levels,
    )


STEP_SENTENCES: Mapping[str, Sentence] = {
    "negative_step.glitch": _glitch,
    "negative_step.jitter": _jitter,
    "negative_step.rollover": _rollover,
    "negative_step.reset": _reset,
    "negative_step.swap_suspect": _swap,
    "reverse_flow": Told(
        N_(
            "Ran backward from %(before)s to %(after)s, by %(ran_back)s, from %(since)s to %(until)s. None "
            "of it is counted as consumption. Look for a missing or broken non-return valve, or a meter "
            "built in the wrong way round."
        ),
        amounts="before after ran_back",
    ),
    "stuck": Told(
        N_(
            "Stands at %(value)s since %(since)s, for %(hours)s; its longest rest before was "
            "%(longest_before_hours)s (limit %(limit_hours)s). Is the flat empty, or does the meter no "
            "longer count?"
        ),
        amounts="value",
    ),
    "zero": Told(
        N_(
            "Nothing was used from %(since)s to %(until)s, for %(hours)s, at %(value)s; the longest rest "
            "before was %(longest_before_hours)s (limit %(limit_hours)s). Perhaps nobody is at home; if it "
            "goes on, the meter may be stuck."
        ),
        amounts="value",
    ),
}
