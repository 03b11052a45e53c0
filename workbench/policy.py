"""UpdatePolicy: which parameters a training step updates. Data only; passes/apply_policy resolves it."""

import re
from dataclasses import dataclass

from workbench.errors import PolicyError

NAMES = ("full", "bias-only", "last-K")


@dataclass(frozen=True)
class UpdatePolicy:
    """`weights`, `biases`: how many of the last weighted layers have theirs updated; None means all of them."""

    name: str
    weights: int | None
    biases: int | None


def parse_policy(text: str) -> UpdatePolicy:
    """The policy called `text`: full, bias-only or last-K. Raises PolicyError that lists the names."""
    if text == "full":
        return UpdatePolicy(text, None, None)
    if text == "bias-only":
        return UpdatePolicy(text, 0, None)
    match = re.fullmatch(r"last-([1-9]\d*)", text)
    if match:
        return UpdatePolicy(text, int(match[1]), int(match[1]))
    raise PolicyError(f"no policy is called {text!r}", f"there are {', '.join(NAMES)} (such as last-2)")
