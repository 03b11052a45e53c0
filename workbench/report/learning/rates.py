"""Learning rates in words: what this one was, how far it is from the published ones, what it counts in without QAS.

Quantization-aware scaling (QAS) divides the gradient of a stored integer by (what it counts in)², so that a rate means
the same as in real numbers. Without it a rate must itself be so much larger: a comparison at one rate compares units.
"""

from dataclasses import dataclass

PUBLISHED, PUBLISHED_BIAS = 8e-4, 4e-4  # int8 with QAS, SGD, a sample a step ("On-Device Training Under 256KB Memory")
FAR = 5  # times
USUAL = 0.02  # what a rate is likened to


@dataclass(frozen=True)
class Worth:
    """The square of what an integer counts in, in the median over what is updated: of int8 weights and int32 biases;
    None where no such are.
    """

    weights: float | None = None
    biases: float | None = None


@dataclass(frozen=True)
class Rates:
    """`qas` None: nothing of int8 is updated."""

    lr: float
    lr_bias: float
    momentum: float = 0.0
    qas: bool | None = None
    worth: Worth = Worth()

    @property
    def steps_like(self) -> float:
        """The rate without momentum whose steps come to as much."""
        return self.lr / (1 - self.momentum)


def rate_words(rates: Rates) -> str:
    """'lr 0.02 with QAS, momentum 0.9 steps like lr 0.2'."""
    words = f"lr {rates.lr:g}" + ("" if rates.qas is None else " with QAS" if rates.qas else " without QAS")
    words += "" if rates.lr_bias == rates.lr else f", {rates.lr_bias:g} of biases"
    return words + (f", momentum {rates.momentum:g} steps like lr {rates.steps_like:.3g}" if rates.momentum else "")


def published_note(rates: Rates) -> str | None:
    """'the published int8 rates are --lr 0.0008 --lr-bias 0.0004, a sample a step: this is 25 times as large'."""
    if not rates.qas or not rates.lr:
        return None
    times = rates.steps_like / PUBLISHED
    if 1 / FAR < times < FAR:
        return None
    how = f"{_about(times)} times as large" if times > 1 else f"1/{_about(1 / times)} of it"
    return f"the published int8 rates are --lr {PUBLISHED:g} --lr-bias {PUBLISHED_BIAS:g}, a sample a step: {how} here"


def units_note(rates: Rates) -> str | None:
    """'without QAS …: lr 0.02 moves int8 weights like 2.0e-07 with it; like 0.02 with it moves --lr 2000'."""
    if rates.qas is not False:
        return None
    given = {"int8 weights": (rates.lr, rates.worth.weights), "biases": (rates.lr_bias, rates.worth.biases)}
    moves = " and ".join(f"{what} like {rate * worth:.2g}" for what, (rate, worth) in given.items() if worth)
    options = {"--lr": rates.worth.weights, "--lr-bias": rates.worth.biases}
    like = " ".join(f"{option} {_about(USUAL / worth)}" for option, worth in options.items() if worth)
    rate = f"lr {rates.lr:g}" + ("" if rates.lr_bias == rates.lr else f", {rates.lr_bias:g} of biases")
    if not like:
        return None
    return (
        f"without QAS rates count in other units, so that one rate with and without it compares units, not methods: "
        f"{rate} moves {moves} with it; like {USUAL:g} with it moves about {like}"
    )


def _about(value: float) -> str:
    """Two digits: 2013 -> '2000', 1.94e8 -> '1.9e+08'."""
    return f"{float(f'{value:.2g}'):g}"
