"""Workers: threads that answer requests, each of them one request at a time from its start to its end.

This is the only bound on what goes on at once. Who waits, waits here and holds nothing; who has a worker
waits for no other thread, and there are as many connections as there are workers. So no number of requests
can make the process wait for itself.
"""

import asyncio
import contextvars
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
_NICE = 10


class QueueFullError(Exception):
    """As many wait already as may."""


class Workers:
    """So many threads, with one queue before them: first come, first served.

    At most `most` may wait; None: however many. `yielding` threads take what processor time others leave.
    """

    def __init__(self, count: int, name: str, *, most: int | None = None, yielding: bool = False) -> None:
        self._threads = ThreadPoolExecutor(count, name, _yield if yielding else None)
        self._most = None if most is None else count + most
        self._begun = 0
        self._ended = False

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns or raises. Raises QueueFullError, also where the workers end before it begins.

        For the thread of the event loop.
        """
        if self._ended or (self._most is not None and self._begun >= self._most):
            raise QueueFullError
        call = partial(contextvars.copy_context().run, work, *arguments)
        self._begun += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except asyncio.CancelledError:
            if self._ended:
                raise QueueFullError from None
            raise
        finally:
            self._begun -= 1

    def stop(self) -> None:
        """Begin nothing more: what waits is refused."""
        self._ended = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the threads when they have done what they do."""
        self.stop()
        self._threads.shutdown(wait=True)


def _yield() -> None:
    """Linux has priorities of threads; elsewhere these are as the others."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for, without an event loop.

    Raises RuntimeError where it does wait.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a worker was given something that waits for the event loop")
