"""A process for each item, a few at a time: results as they arrive, a crash costs one item, Ctrl-C ends all of them.

     parent ── starts ──► forkserver (imports the workbench once, has no threads) ── forks ──► a process an item
        ▲                                                                                         │
        └───────────────────────────── its result, or the end of its pipe ◄───────────────────────┘

Why a forkserver: a fork of the parent itself would copy whatever its other threads hold locked, and a fresh
interpreter for each item would load numba and unicorn again each time.

The processes know what they import, not the script that started them: it needs no `if __name__ == "__main__":`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.connection import wait
from types import ModuleType
from typing import Any

PRELOAD = ["workbench.session", "sklearn.datasets", "sklearn.model_selection"]  # what takes long and every run needs
PATIENCE = 1.0  # seconds all processes together have to take their temporary folders and compilers with them


@dataclass(frozen=True)
class Died:
    """A process ended without a result: its exit code, negative for a signal."""

    exit_code: int

    def __str__(self) -> str:
        if self.exit_code >= 0:
            return f"its process ended with exit code {self.exit_code}"
        return f"its process was ended by {signal.Signals(-self.exit_code).name}"


def in_processes(
    function: Callable, items: Sequence, jobs: int, begun: Callable[[int], None] | None = None
) -> Generator[tuple[int, Any], None, None]:
    """(index, function(item)) in the order of arrival; Died for an item whose process ended without a result.

    `items` may grow while results arrive. `begun` hears the index of each item whose process has started. `function`
    and the items are pickled. When the generator is left early, the processes under way are ended.
    """
    context = _context()
    begins = 0
    running: dict[Any, tuple[int, Any]] = {}  # end of a pipe -> index, process
    try:
        while begins < len(items) or running:
            while begins < len(items) and len(running) < jobs:
                index, item, begins = begins, items[begins], begins + 1
                ours, theirs = context.Pipe(duplex=False)
                running[ours] = index, context.Process(target=_work, args=(function, item, theirs), daemon=True)
                with uninterrupted(), _nameless_main():  # half a start would be the server's traceback
                    running[ours][1].start()
                theirs.close()
                if begun:
                    begun(index)
            ready = wait(list(running))[0]
            index, process = running[ready]
            result = _received(ready, process)
            del running[ready]
            yield index, result
    finally:
        _end([process for _, process in running.values()])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and callable(before):
        before(signal.SIGINT, None)


def _context():
    """The forkserver's context, the server running. A terminal's Ctrl-C reaches the parent only: it decides."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    if threading.current_thread() is not threading.main_thread():
        return context
    resource_tracker.ensure_running()  # it ends by unblocking Ctrl-C: not between the block and the server's start
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited by the server and all it forks
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # one that came meanwhile is answered now, not lost
    return context


@contextmanager
def _nameless_main() -> Iterator[None]:
    """Processes that start in this block do not import the caller's script: that would run it again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")  # without __file__ and __spec__, as in an interactive session
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _work(function, item, connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # unwinds: what was opened `with` is closed and removed
    result = function(item)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        connection.send(result)
    except BrokenPipeError:  # the parent is gone, nobody waits for it
        sys.exit(1)


def _received(connection, process) -> object:
    try:
        result = connection.recv()
    except EOFError:
        process.join()
        result = Died(process.exitcode)
    connection.close()
    process.join()
    return result


def _end(processes) -> None:
    """Terminate processes, all at once, and kill those that outlast PATIENCE; if there were any, end the server too."""
    started = [process for process in processes if process.pid is not None]
    deadline = time.monotonic() + PATIENCE
    for process in started:
        process.terminate()
    for process in started:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
    if processes:
        _end_server()


def _end_server() -> None:
    """End the forkserver: while it still imports, it would hold the terminal's pipes open. The next use starts another.

    The standard library has no public way to end it.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()
