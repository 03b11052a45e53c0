"""A call tree walked from its roots down, each context entered and left once, siblings in the order of the table."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from workbench.record import Profile

CYCLES, INSTRUCTIONS = "modelled_cycles", "instructions"


def walk(profile: Profile) -> Iterator[tuple[bool, Any]]:
    """(True, context) when one is entered, (False, context) when it is left; contexts are rows of `tree`."""
    below: dict[int, list] = defaultdict(list)
    for context in profile.tree.itertuples(index=False):
        below[context.parent].append(context)
    pending = [(True, context) for context in reversed(below[-1])]
    while pending:
        enters, context = pending.pop()
        yield enters, context
        if enters:
            pending.append((False, context))
            pending += [(True, each) for each in reversed(below[context.id])]


def measures(profile: Profile) -> tuple[str, ...]:
    """The columns that cost stands in: instructions, and cycles where they were modelled."""
    tables = (profile.functions, profile.tree, profile.lines)
    timed = profile.meta.get(CYCLES) is not None and all(table[CYCLES].notna().all() for table in tables)
    return (INSTRUCTIONS, CYCLES) if timed else (INSTRUCTIONS,)
