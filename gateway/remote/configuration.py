"""The configuration that the central side wants this gateway to run: kept only if meters still answer.

    validated -> applied -> the lines that answered before answer again -> stored, "done"
                         -> one of them does not                        -> the one before, "failed"

The installer's file is never written; `configuration_files.py` has what stands beside it. Neither a restart
nor the broker's retained copy tries again what was given up.
A desired configuration with an empty text means: back to the installer's file.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from drivers.errors import DriverError
from gateway.config.document import GatewayConfig
from gateway.remote.configuration_files import ConfigurationFiles, StoredConfiguration
from telemetry.wire import DesiredConfig, WireError, decode

log = logging.getLogger(__name__)

TRIAL_SECONDS = 2_400.0  # longer than two polls at the usual distance of 15 minutes
_MOST_ATTEMPTS = 2  # of one that the gateway did not survive
_NOT_SURVIVED = "the gateway stopped while this was tried, more than once; send it under another version"
State = Literal["running", "done", "failed"]
# publishes a `Reply`: its id, state, detail and result
Tell = Callable[[str, State, str, Mapping[str, object]], None]


class ConfigurableGateway(Protocol):
    """The running gateway, as a configuration is tried on it."""

    config_version: str

    @property
    def config(self) -> GatewayConfig: ...
    def apply(self, config: GatewayConfig) -> None:
        """Run this from now on. Raises ValueError or DriverError, and changes nothing, where it cannot."""
        ...

    def answering(self) -> Mapping[str, bool | None]:
        """Of each line, whether any meter has answered since the last `apply`; None: too early to say."""
        ...


@dataclass(slots=True)
class _Trial:
    desired: DesiredConfig
    before: GatewayConfig
    version_before: str
    must_answer: dict[str, str]  # line -> port, of those whose meters answered before
    until: float
    attempt: int


class RemoteConfiguration:
    """Configuration that comes on the `config` topic; `watch` once a second. Belongs to one thread."""

    def __init__(
        self,
        site: ConfigurableGateway,
        files: ConfigurationFiles,
        tell: Tell,
        monotonic: Callable[[], float],
        *,
        trial_seconds: float = TRIAL_SECONDS,
    ) -> None:
        self._site = site
        self._files = files
        self._tell = tell
        self._monotonic = monotonic
        self._trial_seconds = trial_seconds
        self._trial: _Trial | None = None
        self._answered: DesiredConfig | None = None  # the broker's retained copy comes with every connection

    def receive(self, payload: bytes) -> None:
        """A message on the topic; an empty one takes back what was retained there, and changes nothing."""
        if not payload:
            return
        try:
            desired = decode(payload, DesiredConfig)
            if not desired.version:
                raise WireError("it names no version")
        except WireError as error:
            log.warning("desired configuration cannot be read", extra={"reason": str(error)})
            return
        if desired != self._answered:
            self._answered = desired
            self._consider(desired)

    def watch(self) -> None:
        """Judge what is being tried, as soon as that can be said."""
        if self._trial is None:
            return
        answers = self._site.answering()
        ports = self._trial.must_answer
        if silent := [f"{line} ({ports[line]})" for line in ports if answers.get(line) is False]:
            lines = ", ".join(silent)
            self._roll_back(f"no meter answers any more on {lines}; the one before runs again", final=True)
        elif self._monotonic() >= self._trial.until or all(answers.get(line) for line in ports):
            self._keep(self._trial)

    def _consider(self, desired: DesiredConfig) -> None:
        if self._trial is not None:
            self._roll_back(f"replaced by version {desired.version} before it could be judged", final=False)
        applied = self._files.applied()
        wanted = desired.version if desired.toml else ""
        if (applied.of(desired) if applied else not desired.toml) and self._site.config_version == wanted:
            self._tell(desired.version, "done", "this is what runs", {})
            return
        earlier = self._files.refused()
        if earlier is None or not earlier.of(desired):
            earlier = StoredConfiguration(desired.version)
        if earlier.final or earlier.attempts >= _MOST_ATTEMPTS:
            self._tell(desired.version, "failed", earlier.reason, {})
            return
        try:
            self._try(desired, earlier.attempts + 1)
        except (ValueError, OSError, DriverError, RecursionError) as error:  # the last: brackets without end
            log.error(
                "desired configuration refused", extra={"version": desired.version, "reason": str(error)}
            )
            self._tell(desired.version, "failed", str(error), {})

    def _try(self, desired: DesiredConfig, attempt: int) -> None:
        config = self._files.load(desired.toml)
        before, version = self._site.config, self._site.config_version
        answers = self._site.answering()
        ports = {line.port for line in before.line if answers.get(line.name)}
        must_answer = {line.name: line.port for line in config.line if line.port in ports}
        self._files.refuse(StoredConfiguration(desired.version, desired.toml, _NOT_SURVIVED, attempt))
        try:
            self._site.apply(config)
        except (ValueError, DriverError) as error:
            self._files.refuse(
                StoredConfiguration(desired.version, desired.toml, str(error), attempt, final=True)
            )
            raise
        self._site.config_version = desired.version if desired.toml else ""
        until = self._monotonic() + self._trial_seconds
        self._trial = _Trial(desired, before, version, must_answer, until, attempt)
        log.info("desired configuration is tried", extra={"version": desired.version})
        self._tell(desired.version, "running", "applied; waiting for meters to answer", {})

    def _keep(self, trial: _Trial) -> None:
        answers = self._site.answering()
        unknown = [line for line in trial.must_answer if not answers.get(line)]
        try:
            self._files.keep(trial.desired)
        except OSError as error:
            self._roll_back(f"it cannot be stored beside the installer's file: {error}", final=False)
            return
        self._trial = None
        log.info("desired configuration runs", extra={"version": trial.desired.version})
        detail = f"it runs; not asked yet: {', '.join(unknown)}" if unknown else "it runs"
        lines = [line.name for line in self._site.config.line]
        self._tell(trial.desired.version, "done", detail, {"lines": lines})

    def _roll_back(self, reason: str, *, final: bool) -> None:
        trial, self._trial = self._trial, None
        assert trial is not None, "only while one is tried"
        desired = trial.desired
        self._site.apply(trial.before)
        self._site.config_version = trial.version_before
        log.error("desired configuration taken back", extra={"version": desired.version, "reason": reason})
        self._tell(desired.version, "failed", reason, {})
        try:
            self._files.refuse(
                StoredConfiguration(desired.version, desired.toml, reason, trial.attempt, final)
            )
        except OSError as error:
            log.error("refusal cannot be stored", extra={"reason": str(error)})
