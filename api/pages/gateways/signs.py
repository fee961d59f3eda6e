"""A gateway at a glance: backlog, disk, temperature, clock and memory, with what each means in a word."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api.words.language import Language
from store.gateways.reports import HealthRow

SILENT_AFTER = timedelta(minutes=10)  # it says how it is once a minute
FULL = 0.9  # share of a line's time, or of a disk
_HOT = 80.0  # degrees: from there on a Raspberry Pi slows down
_CLOCK_LIMIT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class HealthSign:
    """A figure at a glance. `mood` is good, warning or alarm, and `word` says the same."""

    name: str
    value: str
    word: str
    mood: str = "good"


def signs_of(health: HealthRow, now: datetime, language: Language, held: int = 0) -> list[HealthSign]:
    """Backlog, disk, temperature, clock and memory, as far as they are told, with what they mean.

    `held` readouts wait for the gateway's clock to be set.
    """
    say = language.gettext
    signs = [_backlog(health, now, language)]
    if health.disk_free_bytes is not None and health.disk_total_bytes:
        used = 1 - health.disk_free_bytes / health.disk_total_bytes
        free = say("%(size)s GB free", size=language.decimal(f"{health.disk_free_bytes / 1e9:.1f}"))
        mood = "alarm" if used >= FULL else "good"
        signs.append(HealthSign(say("Disk in use"), language.percent(used), free, mood))
    if health.cpu_celsius is not None:
        hot = health.cpu_celsius >= _HOT
        value = language.decimal(f"{health.cpu_celsius:.0f}") + "\u202f°C"
        word = say("too hot: it slows down") if hot else say("as it should be")
        signs.append(HealthSign(say("Temperature"), value, word, "warning" if hot else "good"))
    signs.append(_clock(health, language, held))
    if health.memory_bytes is not None and health.memory_total_bytes:
        share = health.memory_bytes / health.memory_total_bytes
        size = say("%(size)s MB", size=language.decimal(f"{health.memory_bytes / 1e6:.0f}"))
        signs.append(HealthSign(say("Memory"), size, say("%(share)s of all", share=language.percent(share))))
    return signs


def _backlog(health: HealthRow, now: datetime, language: Language) -> HealthSign:
    say = language.gettext
    if health.buffer_full:
        word, mood = say("the buffer is full: what comes now is lost"), "alarm"
    elif health.oldest_unacknowledged is not None and now - health.oldest_unacknowledged > SILENT_AFTER:
        word, mood = (
            say("the oldest: %(age)s", age=language.age(health.oldest_unacknowledged, now)),
            "warning",
        )
    else:
        word, mood = say("sent as they come"), "good"
    return HealthSign(say("Readouts that wait"), language.count(health.buffered_readouts), word, mood)


def _clock(health: HealthRow, language: Language, held: int) -> HealthSign:
    """Ours is the measure. A message that was long on its way makes a clock look late, never early."""
    say = language.gettext
    off = abs(health.clock_ahead) > _CLOCK_LIMIT
    ahead = round(health.clock_ahead, 1) or 0.0  # no minus before nothing
    value = ("+" if ahead > 0 else "") + language.decimal(str(ahead)) + "\u202f" + say("s")
    if not health.clock_synchronised and held:
        word = language.ngettext(
            "waits for the time; %(num)s readout is held until then",
            "waits for the time; %(num)s readouts are held until then",
            held,
        )
        return HealthSign(say("Clock"), value, word, "alarm")
    if not health.clock_synchronised:
        return HealthSign(say("Clock"), value, say("not synchronised: check its time server"), "alarm")
    word = say("synchronised, and off from ours") if off else say("synchronised")
    return HealthSign(say("Clock"), value, word, "warning" if off else "good")
