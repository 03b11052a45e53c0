"""A profile as a speedscope file, for https://www.speedscope.app: flame graphs by instructions and by modelled cycles.

A sample is a context: the functions from its root down to it, weighted by its self cost. The order is that of the call
tree, not of time. The format: https://www.speedscope.app/file-format-schema.json, `sampled` profiles.
"""

import json
from typing import Any

import pandas as pd

from workbench.record import Profile
from workbench.report.exports.walk import CYCLES, INSTRUCTIONS, measures, walk


def speedscope(profile: Profile) -> str:
    """The text of a speedscope file: one profile by instructions, one by cycles where they were modelled."""
    meta = profile.meta
    frames: dict[tuple[str, int], int] = {}
    stack: list[int] = []
    contexts: list[tuple[list[int], Any]] = []
    for enters, context in walk(profile):
        if enters:
            stack.append(frames.setdefault((context.name, context.address), len(frames)))
            contexts.append(([*stack], context))
        else:
            stack.pop()
    names = {INSTRUCTIONS: "instructions", CYCLES: f"cycles modelled ({meta.get('timing_model')})"}
    file = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": meta["firmware"], "exporter": "workbench", "activeProfileIndex": 0,
        "shared": {"frames": _frames(profile, frames)},
        "profiles": [_sampled(names[column], column, contexts) for column in measures(profile)],
    }  # fmt: skip
    return json.dumps(file)


def _frames(profile: Profile, frames: dict[tuple[str, int], int]) -> list[dict]:
    """Name, file and line of each function in the tree, in the order of their numbers."""
    heads = profile.functions.drop_duplicates(["name", "address"]).set_index(["name", "address"])
    known: list[dict[str, Any]] = []
    for name, address in frames:
        frame: dict[str, Any] = {"name": name}
        if (name, address) in heads.index:
            head = heads.loc[(name, address)]
            frame |= {"file": head.file} if head.file else {}
            frame |= {} if pd.isna(head.line) else {"line": int(head.line)}
        known.append(frame)
    return known


def _sampled(name: str, column: str, contexts: list[tuple[list[int], Any]]) -> dict:
    spent = [(stack, int(getattr(context, column))) for stack, context in contexts]
    samples, weights = [stack for stack, cost in spent if cost], [cost for _, cost in spent if cost]
    return {"type": "sampled", "name": name, "unit": "none", "startValue": 0, "endValue": sum(weights),
            "samples": samples, "weights": weights}  # fmt: skip
