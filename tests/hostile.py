"""Cases of hostile files: a maker of the file each, and what its refusal says."""

import pytest

ESCAPE, TURNED = "\x1b[2J\x1b]0;red\x07", "\u202egnp.exe"


def collected(with_options=False):
    """An empty list of cases, and the decorator that adds one: a function that writes what is hostile and gives the
    command (`with_options`: what `--data` names), with the words that the error says and, `with_options`, a tuple of
    the command's further words.
    """
    cases = []

    def case(words, *options):
        values = (words, options) if with_options else (words,)
        return lambda make: cases.append(pytest.param(make, *values, id=make.__name__))

    return cases, case


def sparse(path, size):
    with path.open("wb") as file:
        file.truncate(size)
