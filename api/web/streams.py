"""Streams of changes: who listens, and what each is told of what the database announces.

One session with the database listens for all streams of a process, begun by the first. A stream says `hello`,
then the topics that changed, each at most once a second and only those that it was opened for; what changed
is asked for by the usual addresses. A stream ends after some minutes, so that a revoked key is noticed:
browsers and the client come back by themselves, and take `hello` as "ask for everything anew".

WHATWG HTML, 9.2 (server-sent events).
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
import structlog

from store.postgres.database import StoreError, connect
from store.postgres.notices import ChangeNotice, ChangeTopic, changes, listen
from store.postgres.roles import Role

log = structlog.get_logger(__name__)

_STREAMS_EACH = 12  # of one caller at a time
_STREAMS = 500  # of a process
_LISTEN = 1.0  # s, after which the listener looks whether it is to end
_AGAIN = 5.0  # s, until the listener tries again where the database is away
_REST = 1.0  # s between two messages of a stream
_PING = 15.0  # s of silence after which a comment shows that the stream lives


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

    def tell(self, topic: ChangeTopic) -> None:
        """Runs in the stream's own loop."""
        self.changed.add(topic)
        self.woken.set()


class ChangeStreams:
    """All streams of a process, and the thread that hears of changes."""

    def __init__(self, database_url: str, loop: asyncio.AbstractEventLoop) -> None:
        self._database_url = database_url
        self._loop = loop
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.closing = threading.Event()

    def open(self, utility_id: int, subject: str, topics: frozenset[ChangeTopic], seconds: float) -> Stream:
        """A stream of these topics for so long, from any thread. `subject` says whose streams are counted
        together. Raises TooManyStreamsError."""
        now = self._loop.time()
        stream = Stream(utility_id, subject, topics, now + seconds)
        with self._lock:
            # one whose client was gone before its first byte never came to its end
            self._streams = {one for one in self._streams if one.ends + _PING > now}
            each = sum(one.subject == subject for one in self._streams)
            if each >= _STREAMS_EACH or len(self._streams) >= _STREAMS:
                raise TooManyStreamsError
            self._streams.add(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._hear, name="hesper changes", daemon=True)
                self._thread.start()
        return stream

    async def messages(self, stream: Stream, clock: Callable[[], datetime]) -> AsyncIterator[str]:
        """Messages of the stream, as text/event-stream, until its end; `clock` dates the changes."""
        try:
            yield f"retry: {int(_AGAIN * 1000)}\nevent: hello\ndata: {{}}\n\n"
            while not self.closing.is_set() and (left := stream.ends - self._loop.time()) > 0:
                try:
                    await asyncio.wait_for(stream.woken.wait(), min(_PING, left))
                except TimeoutError:
                    yield ": still here\n\n"
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
            self._streams.discard(stream)

    def stop(self) -> None:
        """Let every stream end now: the server is about to."""
        self.closing.set()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            self._loop.call_soon_threadsafe(stream.woken.set)

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
                one
                for one in self._streams
                if one.utility_id == change.utility_id and change.topic in one.topics
            ]
        for stream in concerned:
            self._loop.call_soon_threadsafe(stream.tell, change.topic)

    def _tell_all(self) -> None:
        """After a time in which nothing was heard, anything may have changed."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            for topic in stream.topics:
                self._loop.call_soon_threadsafe(stream.tell, topic)
