"""Tables that a kernel gets as an immediate: constant arrays in flash."""

from collections.abc import Iterable


def in_flash(numbers: Iterable[float]) -> str:
    """C for an array of int16 numbers; 0, the null pointer, for none."""
    listed = ", ".join(map(str, numbers))
    return f"({{ static const int16_t table[] = {{ {listed} }}; table; }})" if listed else "0"
