"""Tables that a kernel is called with: literals in flash."""

from collections.abc import Iterable


def in_flash(numbers: Iterable[float]) -> str:
    """C for int16 numbers; 0 where there are none."""
    listed = ", ".join(map(str, numbers))
    return f"({{ static const int16_t table[] = {{ {listed} }}; table; }})" if listed else "0"
