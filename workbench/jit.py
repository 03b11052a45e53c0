"""Whether numba can keep the machine code it makes: beside the source, or in the user's cache folder."""

from numba import njit


def _nothing():
    pass


def _can_keep() -> bool:
    try:
        njit(cache=True)(_nothing)
    except RuntimeError:  # neither can be written: a package of the system's, used by one without a home
        return False
    return True


CACHED = _can_keep()
