"""A first-fit heap, as firmware_templates/conventional/heap.c has it: the same blocks, so the same addresses.

    | size, next | free …  | size, 0 | a tensor …       | size, next | free …       |

Blocks lie side by side, a header before each; the first free block that is large enough is taken, and its rest stays
free. Neighbours that are free become one.
"""

from bisect import bisect_left, insort

from workbench.errors import PlanError

HEADER = 8  # bytes: size and next
GRANULE = 8  # bytes: sizes are multiples, so that all addresses are
LEAST = 2 * HEADER  # the smallest block


class Heap:
    """The blocks of a heap of `capacity` bytes. Places are offsets of what was asked for: behind its header."""

    def __init__(self, capacity: int):
        self.size = {0: capacity}  # where a block begins -> its bytes, header included
        self.free_blocks = [0]  # where they begin, in order
        self.extent = HEADER  # the end of the highest block that was ever taken

    def allocate(self, count: int) -> int:
        """The place of `count` bytes. Raises PlanError where no free block is large enough."""
        size = -(-(count + HEADER) // GRANULE) * GRANULE
        index = next((i for i, begin in enumerate(self.free_blocks) if self.size[begin] >= size), None)
        if index is None:
            raise PlanError(f"the heap has no room for {count} bytes side by side")
        begin = self.free_blocks[index]
        rest = self.size[begin] - size
        if rest >= LEAST:
            self.size[begin], self.size[begin + size] = size, rest
            self.free_blocks[index] = begin + size
        else:
            del self.free_blocks[index]
        self.extent = max(self.extent, begin + self.size[begin])
        return begin + HEADER

    def free(self, place: int) -> None:
        """Give back what was allocated at `place`. Raises PlanError for what was not."""
        begin = place - HEADER
        if begin not in self.size or begin in self.free_blocks:
            raise PlanError(f"nothing is allocated at {place}")
        insort(self.free_blocks, begin)
        index = bisect_left(self.free_blocks, begin)
        for lower in (index, index - 1):  # the block with the one behind it, then the one before it with both
            self._join(lower)

    def _join(self, index: int) -> None:
        """Make the free block number `index` one with the next, where that lies right behind it."""
        if 0 <= index < len(self.free_blocks) - 1:
            begin, behind = self.free_blocks[index : index + 2]
            if begin + self.size[begin] == behind:
                self.size[begin] += self.size.pop(behind)
                del self.free_blocks[index + 1]
