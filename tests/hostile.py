"""Cases of hostile files: a maker of the file each, and what its refusal says."""

import pytest

ESCAPE, TURNED = "\x1b[2J\x1b]0;red\x07", "\u202egnp.exe"


def collected():
    """An empty list of cases, and the decorator that adds one: a function that writes into the folder `here` and gives
    the command; with the words that its error says.
    """
    cases = []

    def case(words):
        return lambda make: cases.append(pytest.param(make, words, id=make.__name__))

    return cases, case


def sparse(path, size):
    with path.open("wb") as file:
        file.truncate(size)
