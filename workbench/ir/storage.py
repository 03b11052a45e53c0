"""Storages: which values share memory (must-alias), how large that memory is, and until when.

A storage is as large as the largest value in it that is still to be read: where a smaller result takes over an image,
its end is free again.

                   ______
                  | image|____________      parts, from its begin on: [0, 8) to the end, [8, 12) while the image lives
                  |      |   result   |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from workbench.ir import op as ops
from workbench.ir.graph import Node


class Aliases:
    """The must-alias relation, node by node in order of execution: a view and a takeover share their operand's storage.

    `root`: value -> the first value that lived in its storage.
    """

    def __init__(self, arguments: Iterable[str]) -> None:
        self.root: dict[str, str] = {name: name for name in arguments}

    def add(self, node: Node) -> None:
        view = ops.get(node.op).view
        for index, result in enumerate(node.results):
            source = node.over[index] if index < len(node.over) else ""
            source = source or (node.operands[0] if view and index == 0 else "")
            self.root[result] = self.root[source] if source else result


@dataclass(frozen=True)
class Storage:
    """One piece of memory: the values that live in it in order of birth, bytes, half-open lifetime in positions.

    `ends`: (size, position) pairs: the storage needs `size` bytes until `position`; sizes fall, the last position is
    `upper`.
    """

    values: tuple[str, ...]
    bytes: int
    lower: int
    upper: int
    ends: tuple[tuple[int, int], ...]

    @property
    def parts(self) -> tuple[tuple[int, int, int], ...]:
        """Begin, end (in bytes) and the position at which it dies, of each part; the one that lives longest first."""
        ends = self.ends[::-1]
        begins = (0, *(size for size, _ in ends))
        return tuple((begin, size, upper) for begin, (size, upper) in zip(begins, ends, strict=False))

    def bytes_at(self, position: int) -> int:
        """Bytes it holds at a position of its life."""
        return next((size for size, upper in self.ends if position < upper), 0)

    def whole(self) -> "Storage":
        """The same, but all its bytes are kept to the end."""
        return replace(self, ends=((self.bytes, self.upper),))

    @property
    def name(self) -> str:
        return self.values[0]


def storage_of(sizes: Mapping[str, int], last: Mapping[str, int], lower: int, upper: int) -> Storage:
    """The storage of these values, given their bytes and the position at which each is last made or read."""
    upper = max(upper, lower)
    return Storage(tuple(sizes), max(sizes.values()), lower, upper, _ends(sizes, last, upper))


def aligned(count: int, alignment: int = 4) -> int:
    """Bytes rounded up to whole words."""
    return -(-count // alignment) * alignment


def _ends(sizes: Mapping[str, int], last: Mapping[str, int], upper: int) -> tuple[tuple[int, int], ...]:
    ends: list[tuple[int, int]] = []
    for value in sorted(sizes, key=lambda value: (-sizes[value], -last.get(value, 0))):
        end = min(upper, last.get(value, 0) + 1)
        if not ends or (end > ends[-1][1] and sizes[value] < ends[-1][0]):
            ends.append((sizes[value], end))
    return (*ends[:-1], (ends[-1][0], upper))
