"""What a native twin did in one or several runs, and what of it was held against the emulated core."""

from collections.abc import Sequence

from workbench import units


def native_words(metas: Sequence[dict]) -> str | None:
    """'4,311 steps and the held-out samples in 0.9 s (gcc 12.2.0); 14 steps and 4 batches also emulated, equal to the
    bit': of all these runs together; None where nothing was native.
    """
    native = [meta for meta in metas if (meta.get("engine") or {}).get("used") == "native"]
    if not native:
        return None
    engines = [meta["engine"] for meta in native]
    steps, batches = (sum(_whole(engine.get("verified"), key) for engine in engines) for key in ("steps", "batches"))
    count = sum(_whole(engine, "native_steps") for engine in engines)
    done = [_counted(count, "step")] * bool(count) + ["the held-out samples"] * bool(batches)
    held = [_counted(steps, "step")] * bool(steps) + [_counted(batches, "batch", "batches")] * bool(batches)
    took = units.seconds(sum((meta.get("seconds") or {}).get("native") or 0 for meta in native))
    compilers = ", ".join(sorted({str(engine.get("compiler")) for engine in engines}))
    return f"{' and '.join(done)} in {took} ({compilers}); {' and '.join(held)} also emulated, equal to the bit"


def trained_seconds(meta: dict) -> float | None:
    """All that a training took: of the emulated core, of its native twin, of compiling that, of looking for a rate."""
    seconds = meta.get("seconds") or {}
    known = [seconds[key] for key in ("emulate", "native", "native_build", "lr_sweep") if seconds.get(key) is not None]
    return sum(known) if known else None


def _whole(told, key: str) -> int:
    """A whole number of run.json, which anyone may have edited; 0 where it is none."""
    value = told.get(key) if isinstance(told, dict) else None
    return value if isinstance(value, int) else 0


def _counted(number: int, one: str, more: str | None = None) -> str:
    return f"{units.count(number)} {one if number == 1 else more or one + 's'}"
