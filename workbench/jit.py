"""numba, as this package uses it: whether it can keep the machine code it makes, and how it loads quickly.

It keeps that code beside the source, or in the user's cache folder. numba is loaded when CACHED is first asked for.
"""

import sys
from contextlib import suppress
from importlib.util import find_spec

BLAS = "scipy.linalg.cython_blas"
CACHED: bool  # whether numba can keep what it compiles

_left_out: set[str] = set()


def __getattr__(name: str) -> bool:
    if name != "CACHED":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if BLAS in _left_out:
        _load_without_blas()
    globals()[name] = _can_keep()
    return globals()[name]


def require() -> None:
    """Raise ImportError where numba is not installed; where it is, it is not loaded yet."""
    if find_spec("numba") is None:
        import numba  # noqa: F401  it is told in Python's words


def leave_out_blas() -> None:
    """Have numba load without scipy's BLAS, which takes a third of that time, if it is loaded at all.

    No function of this process that numba compiles can then multiply matrices: for a process of our own.
    """
    _left_out.add(BLAS)


def _load_without_blas() -> None:
    """Load what numba loads with the first function, but for BLAS."""
    if BLAS in sys.modules:
        return
    sys.modules[BLAS] = None  # type: ignore[assignment]  # whoever imports it now finds none
    try:
        with suppress(ImportError, AttributeError):  # inner parts of numba: without them it loads later, and all
            from numba.core.registry import cpu_target

            cpu_target.target_context.refresh()
    finally:
        del sys.modules[BLAS]


def _can_keep() -> bool:
    from numba import njit

    try:
        njit(cache=True)(_nothing)
    except RuntimeError:  # neither can be written: a package of the system's, used by one without a home
        return False
    return True


def _nothing():
    pass
