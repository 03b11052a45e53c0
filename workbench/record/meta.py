"""The keys of run.json that reports rely on, each with the kind of its value; `?`: it may be null, 'not known'.

profile.json is held against its own keys the same way.
"""

import math
from typing import Any

from workbench.errors import RecordError
from workbench.options import JSON_KINDS
from workbench.plain import printable
from workbench.record.folder import RUN

# fmt: off
NEEDED = {
    "model": "text", "policy": "text", "schedule": "text", "board": "text", "core": "text",
    "steps": "whole number", "trace": "text", "nodes": "whole number", "memory": "object",
    "memory.arena_planned": "whole number", "memory.arena_lower_bound": "whole number",
    "memory.static": "whole number", "memory.stack_reserve": "whole number", "memory.sram_planned": "whole number",
    "memory.sram_limit": "whole number", "memory.fits": "truth value",
}
FURTHER = {
    "memory.arena_touched": "whole number?", "memory.stack_peak": "whole number?", "memory.sram_peak": "whole number?",
    "memory.planned_by_role": "object of whole numbers?", "memory.touched_by_role": "object of whole numbers?",
    "memory.fragmentation": "object of whole numbers?",
    "arithmetic": "text?", "kernels": "object?",
    "passes": "list of texts?", "passes_changed": "list of texts?", "declined": "object of texts?",
    **{name: f"{kind}?" for name, kind in JSON_KINDS.items()},
    "steps_asked": "whole number?", "interrupted": "truth value?", "lr_sweep": "list of objects?",
    "biases_saturated": "whole number?", "epochs_done": "list of objects?", "best_epoch": "whole number?",
    "data": "object or text?", "weights_from": "text?", "pretrained": "object?",
    "macs": "whole number?", "parameters": "whole number?", "parameters_updated": "whole number?",
    "loss": "list of numbers?", "accuracy": "object of numbers?",
    "loss_function": "text?", "ending": "list of texts?",
    "target": "text?", "guess": "number?", "widest_guess": "number?",
    "held_out_loss": "object of numbers?",
    "classes": "whole number or list of texts?", "notes": "list of texts?",
    "instructions_per_step": "whole number?", "modelled_cycles_per_step": "number?",
    "milliseconds_per_step": "number?", "timing_model": "text?", "engine": "object?",
    "linked_for": "object?", "channel_orders": "object?", "trained_by": "object?", "trained_by.schedule": "text",
    "data.train": "whole number?", "weights_after_first_step": "text?",
    "flash": "object of whole numbers?", "seconds": "object of numbers?", "artifacts": "object of texts?",
}
# fmt: on
LONGEST, LARGEST = 10_000, 2**53  # letters of a text; a whole number
_KINDS = {
    "text": lambda value: isinstance(value, str) and len(value) <= LONGEST,
    "truth value": lambda value: isinstance(value, bool),
    "whole number": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value),
    "object": lambda value: isinstance(value, dict),
}


def _is_finite(value: float) -> bool:
    return abs(value) < LARGEST if isinstance(value, int) else math.isfinite(value)


def as_shown(value):
    """The same value with all its texts `printable`."""
    if isinstance(value, dict):
        return {printable(key): as_shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_shown(each) for each in value]
    return printable(value) if isinstance(value, str) else value


def require_meta(meta, file: str = RUN, needed=NEEDED, further=FURTHER) -> None:
    """Raise RecordError that names the keys which are missing, or one whose value no report could use."""
    if not isinstance(meta, dict):
        raise RecordError(f"{file} is not an object")
    missing = [key for key in needed if "." not in key and key not in meta]
    if not missing and isinstance(meta["memory"], dict):
        missing = [key for key in needed if "." in key and key.partition(".")[2] not in meta["memory"]]
    if missing:
        raise RecordError(f"{file} lacks {', '.join(missing)}")
    for key, kind in {**needed, **further}.items():
        holder, _, name = key.rpartition(".")
        within: Any = meta.get(holder) if holder else meta
        if holder in further and not (isinstance(within, dict) and within):
            continue  # what is not known has no parts
        value = within.get(name)
        if not _is(value, kind.removesuffix("?")) and not (value is None and kind.endswith("?")):
            raise RecordError(f"{file}: {key} is no {kind.removesuffix('?')}")


def _is(value, kind: str) -> bool:
    """Whether a value is of this kind. A list or an object may hold null too: a loss that is not finite."""
    if " or " in kind:
        return any(_is(value, one) for one in kind.split(" or "))
    whole, _, part = kind.partition(" of ")
    if not part:
        return _KINDS[kind](value)
    if not isinstance(value, list if whole == "list" else dict):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return all(item is None or _KINDS[part.removesuffix("s")](item) for item in parts)
