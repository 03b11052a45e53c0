"""Trace events as https://ui.perfetto.dev and chrome://tracing read them: nested slices, counters, spans with an id.

The format: "Trace Event Format", the JSON object form. Slices are pairs of B and E of one thread, in the order in which
they nest, so that rounded times never cross. Times are microseconds, rounded to nanoseconds.
"""

import json
from collections.abc import Mapping
from typing import Any

from workbench.units import frequency


class TraceEvents:
    """Events of a clock with so many ticks (cycles) a second; of None a tick is drawn as a microsecond."""

    def __init__(self, ticks: str, clock_hz: int | None, **notes: Any):
        self.clock_hz = clock_hz if clock_hz and clock_hz > 0 else None
        drawn = f"{ticks} at {frequency(self.clock_hz)}" if self.clock_hz else f"one of {ticks} is drawn as 1 µs"
        self.notes = {"time": drawn, **{name: note for name, note in notes.items() if note is not None}}
        self.events: list[dict[str, Any]] = []

    def process(self, pid: int, name: str, thread: str | None = None) -> None:
        """Name a process, and its only thread."""
        self._add("M", 0, pid, name="process_name", args={"name": name})
        if thread is not None:
            self._add("M", 0, pid, name="thread_name", args={"name": thread})

    def begin(self, at: float, name: str, pid: int = 1, **args: Any) -> None:
        self._add("B", at, pid, name=name, args=args)

    def end(self, at: float, pid: int = 1) -> None:
        """End the slice that began last."""
        self._add("E", at, pid)

    def counter(self, at: float, name: str, values: Mapping[str, float], pid: int = 1) -> None:
        self._add("C", at, pid, name=name, args=dict(values))

    def span(self, begin: float, end: float, name: str, identity: int, category: str, **args: Any) -> None:
        """Something that lives from `begin` to `end` whatever else does, on a track of its own."""
        self._add("b", begin, 1, name=name, cat=category, id=str(identity), args=args)
        self._add("e", end, 1, name=name, cat=category, id=str(identity))

    def text(self) -> str:
        """The file, its events in the order of time."""
        events = sorted(self.events, key=lambda event: event["ts"])  # stable: those of one time keep their nesting
        return json.dumps({"displayTimeUnit": "ns", "otherData": self.notes, "traceEvents": events})

    def _add(self, kind: str, at: float, pid: int, **more: Any) -> None:
        time = round(at * 1e6 / self.clock_hz, 3) if self.clock_hz else at
        self.events.append({"ph": kind, "ts": time, "pid": pid, "tid": pid, **more})
