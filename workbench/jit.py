"""numba, as this package uses it: whether it can keep the machine code it makes, and how it loads quickly.

It keeps that code beside the source, or in the user's cache folder.
"""

import sys
from contextlib import suppress

from numba import njit

BLAS = "scipy.linalg.cython_blas"


def _nothing():
    pass


def _can_keep() -> bool:
    try:
        njit(cache=True)(_nothing)
    except RuntimeError:  # neither can be written: a package of the system's, used by one without a home
        return False
    return True


def load_without_blas() -> None:
    """Load what numba loads with the first function, but for scipy's BLAS, which takes a third of that time.

    From then on no function of this process that numba compiles can multiply matrices: for a process of our own.
    """
    if BLAS in sys.modules:
        return
    sys.modules[BLAS] = None  # type: ignore[assignment]  # whoever imports it now finds none
    try:
        with suppress(ImportError, AttributeError):  # inner parts of numba: without them it loads later, and all
            from numba.core.registry import cpu_target

            cpu_target.target_context.refresh()
    finally:
        del sys.modules[BLAS]


CACHED = _can_keep()
