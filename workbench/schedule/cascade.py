"""A region's body as a cascade: its nodes run tile by tile, one behind another, and what is inside never exists whole.

By rows, in stripes. A step finishes some rows of the last node, the driver. Every other node makes the rows that this
needs, and no row twice. A value is kept in a rolling buffer, as long as a row of it will still be read: here 3 rows of
expand, 1 of depthwise. The last step finishes everything, rows that the driver never needs included.

    step    expand (1x1)   depthwise (3x3)   project (1x1)
    lead    row  0
     0      row  1         row 0             row 0
     1      row  2         row 1             row 1
     2      row  3         row 2             row 2
     …      (1 2 3 kept)

Before the first step may come a lead, in which the driver makes nothing: else its first row would take more new rows of
the others than any later one, and all buffers be made for that.

A node from which no path leads to the driver (a bias's sum, a part kept for the backward) is a follower: each step it
takes all rows that exist.

By channels all nodes go in step: a channel depends on that channel alone, so that a rolling buffer holds one tile. The
first node makes channels from all of its operand. The last adds what each channel gives to all of its result. A sum
over a channel (for a bias, a filter) is complete with its tile, and so is an update by it: no later tile reads the old
parameter.

    channels   transpose   clip   depthwise   clip   transpose
     0 …  7    0 …  7      …      …           …      onto all of dx
     8 … 15    8 … 15      …      …           …      onto all of dx
     …

An elementwise node writes over the tile that it reads if no other node reads it: `home` tells in whose buffer a value
lies. All buffers, and behind them what kernels ask for, are the region's scratch: sums that a kernel keeps there from
tile to tile have places of their own, and all else shares one behind these.

    | buffers | sums of stage 3 | sums of stage 5 | a tile's filters made wider, a row of floats … |

A sum that is written over an image
which it reads itself (a residual's) must find that image's row there: its other operand then has a buffer of its own,
and the result is one `apart`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from workbench.ir.graph import Graph
from workbench.ir.kernel import Axis, Reach, Refusal
from workbench.ir.types import BITS
from workbench.schedule.stages import ALONG, Along, Stage, stages

STACK = 128  # bytes: more than a region's own bookkeeping was seen to add to the stack (116 at most, in mobilenet)


@dataclass(frozen=True)
class Cascade:
    """How a body runs: `step` rows of the driver, or `step` channels, at a time; the `stages` in order.

    kept   value -> the rows or channels of its rolling buffer
    home   value made by tiles -> the value whose buffer, or whose place outside the region, it lies in: itself, or what
           is written over it
    apart  the results, by number, in whose places nothing lies that a node reads beside an operand
    """

    body: Graph
    axis: Axis
    step: int
    stages: tuple[Stage, ...]
    kept: Mapping[str, int]
    home: Mapping[str, str]
    apart: tuple[int, ...] = ()

    @property
    def along(self) -> Along:
        return ALONG[self.axis]

    @cached_property
    def extent(self) -> int:
        """The rows of the driver, or the channels, of all steps together."""
        return max(stage.extent for stage in self.stages) if self.along.in_step else self.stages[-1].extent

    @cached_property
    def batch(self) -> int:
        """The images that run one after the other."""
        first = self.stages[0]
        return self.body.types[first.value or first.reads[0][0]].shape[0] if self.along.batched else 1

    @cached_property
    def makers(self) -> dict[str, int]:
        """Value made by tiles -> the index of its stage."""
        return {stage.value: index for index, stage in enumerate(self.stages) if stage.value}

    def readers(self, value: str, follow: bool) -> list[tuple[int, Reach]]:
        """The stages, by index, that read a value by tiles, and how: the followers, or the others."""
        return self._readers.get((value, follow), [])

    @cached_property
    def _readers(self) -> dict[tuple[str, bool], list[tuple[int, Reach]]]:
        readers: dict[tuple[str, bool], list[tuple[int, Reach]]] = {}
        for index, stage in enumerate(self.stages):
            for name, reach in stage.reads:
                readers.setdefault((name, stage.follows), []).append((index, reach))
        return readers

    @cached_property
    def targets(self) -> tuple[list[int], ...]:
        """For each step, the lead first, the `ends` of the stages."""
        steps = (self.ends(min(begin + self.step, self.extent)) for begin in range(0, self.extent, self.step))
        return (*([self.lead] if self.lead else []), *steps)

    @cached_property
    def lead(self) -> list[int]:
        """The `ends` of the stages before the driver's first row; none where none makes any, or one step all."""
        ends = [] if self.along.in_step or self.step >= self.extent else self.ends(0)
        return ends if any(ends) else []

    def ends(self, driver: int) -> list[int]:
        """For each stage what it has made when `driver` rows of the driver, or so many channels, are made."""
        if self.along.in_step or driver == self.extent:
            return [min(stage.extent, driver) if self.along.in_step else stage.extent for stage in self.stages]
        end = [0] * (len(self.stages) - 1) + [driver]
        for index in reversed(range(len(self.stages) - 1)):
            needed = 0  # of a follower, nothing
            for reader, reach in self._read_by[index]:
                needed = max(needed, reach.end(end[reader]))
            end[index] = min(self.stages[index].extent, needed)
        for index, stage in enumerate(self.stages):
            if stage.follows:
                end[index] = min(end[self.makers[name]] for name, _ in stage.reads if name in self.makers)
        return end

    @cached_property
    def _read_by(self) -> tuple[list[tuple[int, Reach]], ...]:
        """For each stage the stages, followers left out, that read its value, and how."""
        return tuple(self.readers(stage.value, follow=False) for stage in self.stages)

    def gaps(self, value: str) -> bool:
        """Whether the first step makes less of a value than there is room for: some memory is unwritten."""
        if self.along.in_step:
            return False
        room = self.kept.get(value, self.body.types[value].shape[self.along.dimension])
        return value in self.makers and self.targets[0][self.makers[value]] < room

    def bytes_of(self, value: str, count: int) -> int:
        """Of so many rows or channels of a value, in whole words."""
        kind = self.body.types[value]
        each = kind.elements // self.batch // kind.shape[self.along.dimension]
        return -(-count * each * BITS[kind.dtype] // 32) * 4

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Value that has a buffer -> the byte of the scratch at which it begins."""
        offsets, free = {}, 0
        for value, count in self.kept.items():
            offsets[value] = free
            free += self.bytes_of(value, count)
        return offsets

    @cached_property
    def lasting(self) -> dict[str, int]:
        """First result of a node whose kernel's scratch lasts -> the byte of the scratch at which that begins."""
        offsets, free = {}, self._buffers
        for stage in self.stages:
            if stage.needs.lasting:
                offsets[stage.node.results[0]] = free
                free += stage.needs.scratch(self.step)
        return offsets

    @cached_property
    def _buffers(self) -> int:
        return sum(self.bytes_of(value, count) for value, count in self.kept.items())

    @cached_property
    def inner(self) -> int:
        """The byte of the scratch at which that of the other kernels begins."""
        return self._buffers + sum(stage.needs.scratch(self.step) for stage in self.stages if stage.needs.lasting)

    @cached_property
    def scratch(self) -> int:
        shared = (stage.needs.scratch(self.step) for stage in self.stages if not stage.needs.lasting)
        return self.inner + max(shared, default=0)

    @cached_property
    def images(self) -> frozenset[str]:
        """Operands that are read by tiles only, and results made so: where tiles are rows, they may lie row by row."""
        whole = {
            name for stage in self.stages for at, name in enumerate(stage.node.operands) if at not in stage.needs.reads
        }
        read = {name for stage in self.stages for name, _ in stage.reads if name in self.body.inputs}
        return frozenset((read - whole) | (self.makers.keys() & set(self.body.outputs)))


def cascade(body: Graph, axis: Axis, step: int, apart: tuple[int, ...] = ()) -> Cascade | Refusal:
    """How `body` runs by tiles of `step` rows or channels, some of its results `apart`; or why it cannot."""
    known: dict[object, Cascade | Refusal] = body.analysis.memo
    if (axis, step, apart) not in known:
        known[axis, step, apart] = _cascade(body, axis, step, apart)
    return known[axis, step, apart]


def _cascade(body: Graph, axis: Axis, step: int, apart: tuple[int, ...]) -> Cascade | Refusal:
    found = stages(body, axis)
    if isinstance(found, Refusal):
        return found
    if step < 1:
        return Refusal(f"a tile has at least one of the {axis}")
    home = _homes(body, found, {body.outputs[at] for at in apart})
    inner = [value for value in home if home[value] == value and value not in body.outputs]
    kept = dict.fromkeys(inner, step)
    plan = Cascade(body, axis, step, found, kept, home, apart)
    if not plan.along.in_step:
        kept.update({value: _rolling(plan, value) for value in inner})
    elif plan.extent % step:
        return Refusal(f"{step} {axis} at a time do not divide {plan.extent}")
    return plan


def _homes(body: Graph, found: tuple[Stage, ...], apart: set[str]) -> dict[str, str]:
    """See Cascade.home. Nobody writes over a value that another is a view of, nor over the view."""
    home = {stage.value: stage.value for stage in found if stage.value}
    views = {name for stage in found if not stage.needs.code for name in (stage.value, stage.node.operands[0])}
    readers = body.analysis.readers
    for stage in reversed(found):
        if not stage.value or stage.follows:
            continue
        if not stage.needs.code:
            home[stage.value] = stage.node.operands[0]
            continue
        if home[stage.value] in apart and any(name in body.inputs for name in stage.in_place):
            continue
        able = (name for name in stage.in_place if name in home and len(readers[name]) == 1)
        over = next((name for name in able if name not in body.outputs and name not in views), None)
        home |= {over: home[stage.value]} if over else {}
    return home


def _rolling(plan: Cascade, value: str) -> int:
    """The most rows of a value that are there at once: from the first that will still be read. (Followers have read
    all.)"""
    maker, readers, most = plan.makers[value], plan.readers(value, follow=False), 0
    made = [0] * len(plan.stages)
    for target in plan.targets:
        keep = min([made[maker], *(max(0, reach.first(made[at])) for at, reach in readers)])
        most, made = max(most, target[maker] - keep), target
    return most
