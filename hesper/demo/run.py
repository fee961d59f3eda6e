"""The demo's course: central side up, history in, building and gateway up, and a living dashboard.

The folder keeps everything, so a second start goes on where the first ended: the hours between arrive as a
gateway's backlog would.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from drivers.driver import Clock
from gateway.uplink.link import MqttSettings
from gateway.uplink.publisher import Publisher
from hesper.central import Central, CentralProcess
from hesper.demo.building import GATEWAY, TIME_ZONE, UTILITY, Building, build, month_start
from hesper.demo.gateway_config import gateway_config
from hesper.demo.history import History
from hesper.demo.meters import PROTOCOLS
from hesper.demo.registry import registry_of
from hesper.demo.state import DemoState
from hesper.private_files import write_private
from hesper.supervise import Program, Supervisor, hesper_command, module_command
from ingest.billing.close import close
from metering.access import Scope
from metering.billing.rule_set import EXAMPLES, parse_rules
from store.access.api_keys import issue, verify
from store.billing.measured import utility
from store.billing.rule_sets import add_rules, rules_on
from store.postgres.database import connect
from store.postgres.roles import Role
from store.readings.progress import ValidationProgress, meters_read_since, standing
from store.registry import apply
from store.validation.findings import counts

LIVE_SCHEDULE = "15s"
QUICK_SCHEDULE = "5s"  # a round of all lines takes about four seconds
_PATIENCE = 90.0  # seconds that a step may go without progress
_TICK = 0.1

Report = Callable[[str, int, int], None]
"""Told what is done: (step, done so far, of how many)."""


class DemoError(RuntimeError):
    """Something did not arrive; the text says what, and where to look."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one way through the system did."""

    meters: int
    meters_read: int
    readings_sent: int
    readings_stored: int
    quarantined: int
    findings: int
    kinds: dict[str, int]  # of findings
    period: str
    billing_readings: int
    exceptions: int
    seconds: float

    def complaints(self) -> list[str]:
        """What did not arrive; empty when all did."""
        said = []
        if self.meters_read < self.meters:
            said.append(f"{self.meters - self.meters_read} meters were not read")
        if self.readings_stored < self.readings_sent:
            said.append(f"{self.readings_sent - self.readings_stored} readings were sent and are not stored")
        if self.quarantined:
            said.append(f"{self.quarantined} messages are in quarantine")
        if not self.billing_readings:
            said.append(f"the close of {self.period} made no billing reading")
        return said


class Demo:
    """One run in a folder. Use `course()` as a context manager; inside it the system lives."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        months: int,
        clock: Clock,
        report: Report,
        api_port: int,
        roles: set[CentralProcess],
        schedule: str,
    ) -> None:
        self.folder = folder.resolve()
        self.report = report
        self.place = self.folder / "demo"
        self._api_port = api_port
        self._roles = roles
        self._schedule = schedule
        self._seed, self._months = seed, months
        self._clock = clock
        self._began = time.monotonic()

    @contextmanager
    def course(self) -> Iterator["Demo"]:
        """Everything up to a polled building, and at the end everything stopped.

        Raises DemoError, hesper.central.BusyError and hesper.supervise.StartError.
        """
        self.report("starting database, broker, ingester, validator", 0, 1)
        with Central(self.folder, roles=self._roles, api_port=self._api_port) as central:
            self.central = central
            self.state = self._remember()
            self.building = build(self.state.seed, self.state.born, self.state.months)
            with connect(central.database_url, application="hesper demo", role=Role.ADMIN) as connection:
                connection.autocommit = True
                self.connection = connection
                apply(connection, registry_of(self.building))
                self._apply_rules()
                self.key = self._kept_key()
                self.report("starting database, broker, ingester, validator", 1, 1)
                self.history = self._publish_history()
                with Supervisor(self._field_side(), log_folder=self.folder / "logs"):
                    self.meters_read = self._await_polls()
                    self._await_validation()
                    yield self

    def close_months(self, months: int | None = None) -> tuple[str, int, int]:
        """Close the last full months (None: all), oldest first; (period, billing readings, exceptions) of the
        newest."""
        period, billed, excepted = "", 0, 0
        now = self._clock()
        months = full_months(self.building, now) if months is None else months
        for back in range(months, 0, -1):
            self.report("closing months", months - back, months)
            period = month_start(now, back).astimezone(TIME_ZONE).strftime("%Y-%m")
            summary = close(self.connection, UTILITY, period, "demo", now)
            billed, excepted = summary.billed, sum(summary.exceptions.values())
        self.report("closing months", months, months)
        return period, billed, excepted

    def summary(self, closed: tuple[str, int, int]) -> Summary:
        """The figures, read from the store."""
        now = self.standing()
        return Summary(
            meters=len(self.building.answering),
            meters_read=self.meters_read,
            readings_sent=self.history.tally.readings,
            readings_stored=now.readings,
            quarantined=now.quarantined,
            findings=now.findings,
            kinds=counts(self.connection, UTILITY),
            period=closed[0],
            billing_readings=closed[1],
            exceptions=closed[2],
            seconds=round(time.monotonic() - self._began, 1),
        )

    def standing(self) -> ValidationProgress:
        """The store's counts now."""
        return standing(self.connection, UTILITY)

    # --- steps ---------------------------------------------------------------------------------------

    def _remember(self) -> DemoState:
        """The kept state with this run's ports, or a new building, born now."""
        try:
            state = DemoState.load(self.place)
        except FileNotFoundError:
            state = DemoState(self._seed, self._clock().replace(microsecond=0), months=self._months)
        ports = {name: self.central.ports.free(0) for name in PROTOCOLS if name != "optical"}
        return replace(state, ports=ports).save(self.place)

    def _apply_rules(self) -> None:
        """The example of Germany, where the house stands: what was not measured is billed by estimate."""
        utility_id = utility(self.connection, UTILITY).id
        first = self.building.begins.astimezone(TIME_ZONE).date()
        if rules_on(self.connection, utility_id, first) is None:
            content = (EXAMPLES / "de-enwg.toml").read_text(encoding="utf-8")
            rules = parse_rules(content)
            add_rules(
                *(self.connection, utility_id),
                valid_from=first,
                name=rules.name,
                version=rules.version,
                content=content,
                author="demo",
            )

    def _kept_key(self) -> str:
        """The API key of this folder, made at the first start. It opens all that a demo is to show."""
        path = self.folder / "demo-key"
        if path.exists():
            key = path.read_text(encoding="utf-8").strip()
            if verify(self.connection, key) is not None:
                return key
        scopes = frozenset(Scope) - {Scope.AUDIT_READ}
        key = issue(self.connection, UTILITY, f"demo {secrets.token_hex(2)}", scopes=scopes)
        write_private(path, key)
        return key

    def _publish_history(self) -> History:
        since = self.state.history_until or self.building.begins
        until = self._clock().replace(microsecond=0)
        history = History(self.building, since, until)
        settings = MqttSettings(
            self.central.broker_host, self.central.broker_port, UTILITY, GATEWAY, session_expiry=0
        )
        publisher = Publisher(settings, history, clock=self._clock, version=version("hesper"))
        publisher.start()
        try:
            self._await(
                "history of the building",
                lambda: history.tally.acknowledged,
                history.finished.is_set,
                history.expected,
            )
        finally:
            publisher.stop()
        if history.trouble:
            raise DemoError(f"the history was not taken whole: {history.trouble}; see {self.folder / 'logs'}")
        self.state = replace(self.state, history_until=until).save(self.place)
        return history

    def _field_side(self) -> list[Program]:
        """The building's wires, and a gateway that reads them."""
        ready = self.place / "hosts.ready"
        ready.unlink(missing_ok=True)
        config = self.place / "gateway.toml"
        broker = (self.central.broker_host, self.central.broker_port)
        write_private(config, gateway_config(self.building, self.state, self.place, broker, self._schedule))
        hosts = module_command("hesper.demo.hosts", str(self.place))
        return [
            Program("building", lambda: hosts, ready=ready.exists),
            Program("gateway", hesper_command("gateway", "run", str(config))),
        ]

    def _await_polls(self) -> int:
        started = self._clock()
        wanted = {meter.meter for meter in self.building.answering}
        read: set[str] = set()

        def count() -> int:
            nonlocal read
            read = meters_read_since(self.connection, UTILITY, started) & wanted
            return len(read)

        try:
            self._await("reading every meter", count, lambda: len(read) == len(wanted), len(wanted))
        except DemoError as error:
            missing = ", ".join(sorted(wanted - read)[:5])
            raise DemoError(f"{error} Not read: {missing}.") from None
        return len(read)

    def _await_validation(self) -> None:
        most = max(1, self.standing().unjudged)
        left = most

        def judged() -> int:
            nonlocal left
            left = self.standing().unjudged
            return max(0, most - left)

        # live polls mark new windows all the time: it is enough that the history was worked off
        self._await("validating", judged, lambda: left <= 8, most)

    def _await(self, step: str, count: Callable[[], int], finished: Callable[[], bool], total: int) -> None:
        """Report until finished. Raises DemoError when nothing moves for `_PATIENCE` seconds."""
        pause = threading.Event()
        best, moved = -1, time.monotonic()
        while True:
            now = count()
            self.report(step, min(now, total), max(total, 1))
            if finished():
                self.report(step, max(total, 1), max(total, 1))
                return
            if now > best:
                best, moved = now, time.monotonic()
            elif time.monotonic() - moved > _PATIENCE:
                raise DemoError(
                    f"{step}: {now} of {total}, and nothing more for {_PATIENCE:.0f} s; "
                    f"see {self.folder / 'logs'}."
                )
            pause.wait(_TICK)


def full_months(building: Building, now: datetime) -> int:
    """How many months lie whole between the beginning of the history and now."""
    months = 0
    while month_start(now, months + 1) >= building.begins:
        months += 1
    return months
