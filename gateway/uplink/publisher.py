"""Publisher of a source's batches by MQTT, again and again until the ingester has acknowledged each.

One thread: `Publisher.start` begins it, `Publisher.stop` ends it after a bounded time for what is on its way.
The source is the gateway's buffer, or a file that is being imported; the rules are the same.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

import msgspec

from drivers.driver import Clock
from gateway.backoff import Backoff
from gateway.buffer.source import BatchSource, SourceError
from gateway.log_once import LogOnce
from gateway.uplink.in_flight import BatchesInFlight
from gateway.uplink.link import (
    CONNECT_SECONDS,
    Confirmed,
    Ended,
    Event,
    MqttLink,
    MqttSettings,
    Ready,
    Received,
)
from gateway.uplink.tls import advice_on, advice_when_closed
from telemetry.topics import Kind
from telemetry.wire import Ack, GatewayStatus, Outcome, WireError, decode, encode, to_milliseconds

log = logging.getLogger(__name__)

Inbox = Callable[[Kind, bytes], None]  # must return at once
_MOST_REPLIES = 200  # kept while there is no connection


@dataclass(frozen=True, slots=True)
class PublisherLimits:
    """Bounds of the publisher, in seconds; `window` in batches that may be on their way at once.

    `tick`: how often the source is asked for more. `stall`: after this time without a sign from the broker
    about something sent, a connection is given up for a new one.
    """

    window: int = 16
    tick: float = 0.2
    resend_after: float = 30.0
    resend_longest: float = 600.0
    reconnect_first: float = 1.0
    reconnect_longest: float = 60.0
    stall: float = 300.0


class Publisher:
    """Publisher on `readings`, which listens on `ack` and keeps `status` retained.

    With an `inbox`, it listens on `config` and `command`, too, and hands over what comes, on its own thread.
    """

    def __init__(
        self,
        settings: MqttSettings,
        source: BatchSource,
        *,
        clock: Clock,
        version: str,
        inbox: Inbox | None = None,
        pace: PublisherLimits = PublisherLimits(),
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.online = threading.Event()
        """Set while connected and subscribed."""
        self._source = source
        self._clock = clock
        self._version = version
        self._inbox = inbox
        self._pace = pace
        self._monotonic = monotonic
        self._window = BatchesInFlight(
            pace.window, resend_after=pace.resend_after, longest=pace.resend_longest
        )
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._outbox: deque[tuple[Kind, bytes]] = deque(maxlen=_MOST_REPLIES)
        self._backoff = Backoff(pace.reconnect_first, pace.reconnect_longest, rng or random.Random())  # noqa: S311
        self._link: MqttLink | None = None
        self._deadline = 0.0  # until when a link may be silent: to become ready, to confirm what was sent
        self._connect_at = 0.0
        self._online_since = 0.0
        self._offline = LogOnce(log, "no connection to the broker", "connected")
        self._refused = LogOnce(log, "broker refuses messages", "broker takes messages again")
        self._source_fails = LogOnce(
            log,
            "batches cannot be read or forgotten",
            "batches can be read and forgotten again",
            logging.ERROR,
        )
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="publisher")

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, flush: float = 5.0) -> None:
        """End the thread; what is on its way has `flush` seconds to be acknowledged. Safe to call twice."""
        self._stop_at = self._monotonic() + flush
        self._events.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def send(self, kind: Kind, message: msgspec.Struct) -> None:
        """Publish a message that need not arrive (health, a reply); only replies are kept while offline."""
        if self.online.is_set() or kind is Kind.REPLY:
            self._outbox.append((kind, encode(message)))
            self._events.put(None)

    def _run(self) -> None:
        self._connect_at = self._monotonic()
        while not self._finished():
            self._handle_events()
            now = self._monotonic()
            if self._link is None:
                if now >= self._connect_at:
                    self._connect()
            elif now >= self._deadline and (self._window.unconfirmed or not self.online.is_set()):
                self._end_link("the broker does not answer")
            elif self.online.is_set():
                self._refill()
                self._publish_due()
        if self._link is not None:
            self._say_goodbye(self._link)

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        return not self.online.is_set() or not len(self._window) or self._monotonic() >= self._stop_at

    def _handle_events(self) -> None:
        """Wait for an event, the next batch that is due or the tick; then handle all events there are."""
        due = self._window.next_due() if self.online.is_set() else self._pace.tick + self._monotonic()
        timeout = max(0.0, min(self._pace.tick, due - self._monotonic()))
        try:
            event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
            while True:
                if event is not None and event.link is self._link:  # not of a link that is given up
                    self._handle(event)
                event = self._events.get_nowait()
        except Empty:
            return

    def _handle(self, event: Event) -> None:
        match event:
            case Ready(link, session_kept):
                self._become_online(link, session_kept)
            case Ended(_, reason, answered, advice):
                if not answered:
                    advice = advice_when_closed(self.settings.tls, self._clock())
                self._end_link(reason, advice)
            case Confirmed(_, message, refusal):
                self._touch()
                self._window.confirmed(message, self._monotonic())
                if refusal:
                    self._refused.begin(broker=self._broker, reason=refusal)
                else:
                    self._refused.end(broker=self._broker)
            case Received(_, Kind.ACK, payload):
                self._acknowledged(payload)
            case Received(_, kind, payload):
                if self._inbox is not None:
                    self._inbox(kind, payload)

    def _connect(self) -> None:
        self._deadline = self._monotonic() + CONNECT_SECONDS
        listen = [Kind.ACK] if self._inbox is None else [Kind.ACK, Kind.CONFIG, Kind.COMMAND]
        link = MqttLink(self.settings, self._events, encode(self._status("offline")), listen)
        try:
            link.open()
        except OSError as error:
            self._retry_later(str(error), advice_on(error))
        else:
            self._link = link

    def _become_online(self, link: MqttLink, session_kept: bool) -> None:
        if self._offline.active:
            self._offline.end(broker=self._broker, session_kept=session_kept)
        else:
            log.info("connected", extra={"broker": self._broker, "session_kept": session_kept})
        self._online_since = self._monotonic()
        self._window.reconnected(session_kept=session_kept)
        link.publish(Kind.STATUS, encode(self._status("online")), retain=True)
        self._touch()
        self.online.set()

    def _end_link(self, reason: str, advice: str = "") -> None:
        link, self._link = self._link, None
        # Two gateways with one client id throw each other out: they shall not do it ever faster
        if self.online.is_set() and self._monotonic() - self._online_since > self._pace.reconnect_longest:
            self._backoff.reset()
        self.online.clear()
        if link is not None:
            link.abandon()
        replies = [message for message in list(self._outbox) if message[0] is Kind.REPLY]
        self._outbox.clear()
        self._outbox.extend(replies)
        self._retry_later(reason, advice)

    def _retry_later(self, reason: str, advice: str) -> None:
        self._connect_at = self._monotonic() + self._backoff.next()
        self._offline.begin(broker=self._broker, reason=reason, **({"advice": advice} if advice else {}))

    def _refill(self) -> None:
        if self._window.free <= 0:
            return
        try:
            self._window.add(self._source.next_batches(self._window.free))
        except SourceError as error:
            self._source_fails.begin(reason=str(error))
        else:
            self._source_fails.end()

    def _publish_due(self) -> None:
        link = self._link
        assert link is not None, "only while online"
        for batch in self._window.due(self._monotonic()):
            sent_at = to_milliseconds(self._clock())
            payload = encode(msgspec.structs.replace(batch, sent_at=sent_at))
            if not self._window.unconfirmed:
                self._touch()
            sends = self._window.sent(batch, link.publish(Kind.READINGS, payload))
            log.debug("batch sent", extra={"batch": batch.batch, "sends": sends, "bytes": len(payload)})
        while self._outbox:
            link.publish(*self._outbox.popleft())

    def _acknowledged(self, payload: bytes) -> None:
        try:
            ack = decode(payload, Ack)
        except WireError as error:
            log.warning("acknowledgement cannot be read", extra={"reason": str(error)})
            return
        if not ack.batches:
            self._window.asked_again()
            return
        confirmed: dict[int, Outcome | None] = dict.fromkeys(ack.batches)
        for outcome in ack.outcomes:
            if self._window.is_of(ack.epoch, outcome):
                confirmed[outcome.batch] = outcome
            elif confirmed.get(outcome.batch) is None:
                confirmed.pop(outcome.batch, None)
        try:
            self._source.acknowledge(ack.epoch, confirmed)
        except SourceError as error:
            self._source_fails.begin(
                reason=str(error)
            )  # it stays in the window, is sent again, and acknowledged again
            return
        self._window.acknowledged(ack.epoch, confirmed, self._monotonic())

    def _say_goodbye(self, link: MqttLink) -> None:
        """Leave `offline` behind as a last retained status, then disconnect without the will."""
        if self.online.is_set():
            last = link.publish(Kind.STATUS, encode(self._status("offline")), retain=True)
            deadline = self._monotonic() + 1.0
            while (left := deadline - self._monotonic()) > 0:
                try:
                    event = self._events.get(timeout=left)
                except Empty:
                    break
                if isinstance(event, Ended) or (isinstance(event, Confirmed) and event.message == last):
                    break
        self._link = None
        self.online.clear()
        link.close()

    def _touch(self) -> None:
        self._deadline = self._monotonic() + self._pace.stall

    def _status(self, state: Literal["online", "offline"]) -> GatewayStatus:
        at = to_milliseconds(self._clock())
        return GatewayStatus(state=state, at=at, version=self._version)

    @property
    def _broker(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"
