"""What the value of an option may be: text in, a number out, or argparse's error that says what is wanted."""

import argparse
from collections.abc import Callable
from typing import Any

from workbench.options import POSITIVE, RATE, Kind


def of(kind: Kind | None) -> Callable[[str], Any]:
    """What makes a value of a text that is typed; of choices, and of no kind, the text is the value."""
    if kind is None or kind.choices:
        return str

    def value_of(text: str) -> float | str:
        if text == kind.instead:
            return text
        value = _number(text, whole=kind.json == "whole number")
        missed = kind.missed(value)
        if missed or value is None:
            raise argparse.ArgumentTypeError(f"{text} is not {missed}")
        return value

    return value_of


def _number(text: str, whole: bool) -> float | None:
    """None for what is none."""
    if whole:
        return int(text) if text.isdecimal() and len(text) <= LONGEST else None
    try:
        return float(text)
    except ValueError:
        return None


LONGEST = 100  # digits: Python reads no number of thousands of them
positive, rate = of(POSITIVE), of(RATE)


def waits(text: str) -> int:
    """Wait states; what is too many, a board says."""
    value = _number(text, whole=True)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text} is not a number of wait states: 0, 1, 2, …")
    return int(value)


def seconds(text: str) -> float:
    value = _number(text, whole=False)
    if value is None or not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a time: seconds, 0 or more")
    return value
