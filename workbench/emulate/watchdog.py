"""Stops an emulation that runs away, at no cost to those that do not: a sleeping thread watches the clock."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

PATIENCE_SECONDS = 0.05


class Watchdog:
    """Calls `stop` once a run has taken longer than its limit; `expired` says whether that ended the last run."""

    def __init__(self, stop: Callable[[], None]):
        self._stop = stop
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self.expired = False

    @contextmanager
    def limit(self, seconds: float):
        """A context in which the run may take so many seconds of host time."""
        self.expired = False
        self._deadline = time.monotonic() + seconds
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._watch, daemon=True, name="emulation watchdog")
            self._thread.start()
        try:
            yield
        finally:
            self._deadline = None

    def release(self) -> None:
        """Let go of the emulator that `stop` belongs to."""
        self._stop = lambda: None

    def _watch(self) -> None:
        """Ends by itself when nothing has run for a while, so that no machine is kept alive by its watchdog."""
        idle = 0
        while idle < 20:
            time.sleep(PATIENCE_SECONDS)
            deadline = self._deadline
            idle = idle + 1 if deadline is None else 0
            if deadline is not None and time.monotonic() > deadline:
                self.expired = True
                self._stop()
