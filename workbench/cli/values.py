"""What the value of an option may be: text in, a number out, or argparse's error that says what is wanted."""

import argparse

from workbench import policy
from workbench.rates import SEARCHED


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


def whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)


def share(text: str) -> float:
    value = _not_negative(text, "a share: a number above 0, up to 1")
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share: a number above 0, up to 1")
    return value


def part(text: str) -> float:
    value = _not_negative(text, "a part: a number above 0, below 1")
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a part: a number above 0, below 1")
    return value


def _not_negative(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return value


def seconds(text: str) -> float:
    return _not_negative(text, "a time: seconds, 0 or more")


def rate(text: str) -> float:
    value = _not_negative(text, "a rate: a number of 0 or more, such as 0.02")
    if not policy.is_rate(value):
        raise argparse.ArgumentTypeError(f"{text} is not a rate that float32 can hold")
    return value


def norm(text: str) -> float:
    value = _not_negative(text, "a norm: a number above 0")
    if not policy.is_rate(value) or value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a norm: a number above 0 that float32 can hold")
    return value


def rate_or_auto(text: str) -> float | str:
    return SEARCHED if text == SEARCHED else rate(text)
