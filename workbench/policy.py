"""UpdatePolicy: which parameters a training step updates; Optimizer: how. Data only; other stages resolve it."""

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


@dataclass(frozen=True)
class Optimizer:
    """Plain SGD, or with momentum (v ← momentum · v + g), weight decay (g = dw + weight_decay · w, for every
    parameter), or gradients accumulated over so many batches before each update.
    """

    momentum: float = 0.0
    weight_decay: float = 0.0
    accumulate: int = 1

    def __post_init__(self):
        if not 0 <= self.momentum < 1 or not 0 <= self.weight_decay < float("inf") or self.accumulate < 1:
            raise PolicyError(
                f"momentum {self.momentum:g}, weight decay {self.weight_decay:g} and accumulation over "
                f"{self.accumulate} batches make no update",
                "momentum lies in [0, 1), weight decay is 0 or more, accumulation is over at least one batch",
            )


PLAIN_SGD = Optimizer()


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
