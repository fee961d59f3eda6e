"""Streams of changes: who listens, and what each is told of what the database announces.

One session with the database listens for all streams of a process, begun by the first. A stream says `hello`,
then the topics that changed, each at most once a second and only those that it was opened for, and `ping`
where nothing did; what changed is asked for by the usual addresses. A stream takes no thread, and no session
with the database. It ends after some minutes, so that a revoked key is noticed: browsers and the client come
back by themselves, and take `hello` as "ask for everything anew".

WHATWG HTML, 9.2 (server-sent events).
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
import structlog

from store.postgres.database import StoreError, connect
from store.postgres.notices import ChangeNotice, ChangeTopic, changes, listen
from store.postgres.roles import Role

log = structlog.get_logger(__name__)

_STREAMS_EACH = 12  # of one caller at a time
_STREAMS = 20_000  # of a process, where it may open that many files
_LISTEN = 1.0  # s, after which the listener looks whether it is to end
_AGAIN = 5.0  # s, until the listener tries again where the database is away
_REST = 1.0  # s between two messages of a stream
_PING = 15.0  # s of silence after which the stream says that it lives


class TooManyStreamsError(Exception):
    """The caller, or the process, has as many streams open as it may."""


@dataclass(eq=False)
class Stream:
    """Listener, with what changed and was not told yet."""

    utility_id: int
    subject: str
    topics: frozenset[ChangeTopic]
    ends: float  # by the loop's clock
    changed: set[ChangeTopic] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class ChangeStreams:
    """All streams of a process, and the thread that hears of changes."""

    def __init__(self, database_url: str, loop: asyncio.AbstractEventLoop) -> None:
        self._database_url = database_url
        self._loop = loop
        self._streams: dict[int, set[Stream]] = {}  # by utility
        self._of_subject: Counter[str] = Counter()
        self.count = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.closing = threading.Event()

    def open(self, utility_id: int, subject: str, topics: frozenset[ChangeTopic], seconds: float) -> Stream:
        """A stream of these topics for so long, from any thread. `subject` says whose streams are counted
        together. Raises TooManyStreamsError."""
        now = self._loop.time()
        stream = Stream(utility_id, subject, topics, now + seconds)
        with self._lock:
            if self._full(subject):
                self._forget_ended(now)
                if self._full(subject):
                    raise TooManyStreamsError
            self._streams.setdefault(utility_id, set()).add(stream)
            self._of_subject[subject] += 1
            self.count += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._hear, name="hesper changes", daemon=True)
                self._thread.start()
        return stream

    def _full(self, subject: str) -> bool:
        return self._of_subject[subject] >= _STREAMS_EACH or self.count >= _STREAMS

    def _forget_ended(self, now: float) -> None:
        """One whose client was gone before its first byte never came to its end."""
        for stream in self._all():
            if stream.ends + _PING <= now:
                self._remove(stream)

    def _all(self) -> list[Stream]:
        return [stream for streams in self._streams.values() for stream in streams]

    def _remove(self, stream: Stream) -> None:
        streams = self._streams.get(stream.utility_id, set())
        if stream in streams:
            streams.remove(stream)
            self.count -= 1
            self._of_subject[stream.subject] -= 1
            if not self._of_subject[stream.subject]:
                del self._of_subject[stream.subject]

    async def messages(self, stream: Stream, clock: Callable[[], datetime]) -> AsyncIterator[str]:
        """Messages of the stream, as text/event-stream, until its end; `clock` dates the changes."""
        try:
            yield f"retry: {int(_AGAIN * 1000)}\nevent: hello\ndata: {{}}\n\n"
            while not self.closing.is_set() and (left := stream.ends - self._loop.time()) > 0:
                try:
                    await asyncio.wait_for(stream.woken.wait(), min(_PING, left))
                except TimeoutError:
                    yield "event: ping\ndata: {}\n\n"
                    continue
                stream.woken.clear()
                changed, stream.changed = stream.changed, set()
                for topic in sorted(changed):
                    told = json.dumps({"topic": topic, "at": clock().isoformat()})
                    yield f"event: {topic}\ndata: {told}\n\n"
                await asyncio.sleep(min(_REST, left))
        finally:
            self.leave(stream)

    def leave(self, stream: Stream) -> None:
        """The stream's end."""
        with self._lock:
            self._remove(stream)

    def stop(self) -> None:
        """Let every stream end now: the server is about to."""
        self.closing.set()
        with self._lock:
            streams = self._all()
        self._loop.call_soon_threadsafe(_wake, streams, ())

    def close(self) -> None:
        """End the thread too."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _hear(self) -> None:
        away = False
        while not self.closing.is_set():
            try:
                with connect(self._database_url, application="hesper changes", role=Role.API) as connection:
                    connection.autocommit = True
                    listen(connection)
                    if away:
                        log.info("changes are heard again")
                        self._tell_all()
                    away = False
                    while not self.closing.is_set():
                        for change in changes(connection, _LISTEN):
                            self._tell(change)
            except (StoreError, psycopg.Error) as error:
                if not away:
                    log.warning("no changes are heard; trying again", reason=type(error).__name__)
                away = True
                self.closing.wait(_AGAIN)

    def _tell(self, change: ChangeNotice) -> None:
        with self._lock:
            concerned = [
                one for one in self._streams.get(change.utility_id, ()) if change.topic in one.topics
            ]
        self._loop.call_soon_threadsafe(_wake, concerned, {change.topic})

    def _tell_all(self) -> None:
        """After a time in which nothing was heard, anything may have changed."""
        with self._lock:
            streams = self._all()
        self._loop.call_soon_threadsafe(_wake, streams, set(ChangeTopic))


def _wake(streams: list[Stream], changed: Collection[ChangeTopic]) -> None:
    """Runs in the streams' own loop; each is told what it was opened for."""
    for stream in streams:
        stream.changed |= stream.topics.intersection(changed)
        stream.woken.set()
