"""A region's body in stripes: which rows of each value exist at each step, and how many rows each rolling buffer holds.

    step    expand (1x1)   depthwise (3x3)   project (1x1)       A step finishes some rows of the last node, the driver.
     0      rows 0 1       row 0             row 0               Every other node makes the rows that this needs, and no
     1      row  2         row 1             row 1               row twice. A value of the body is kept in a rolling
     2      row  3         row 2             row 2               buffer, as long as a row of it will still be read: here
     …      (1 2 3 kept)                                         3 rows of expand, 1 of depthwise.

An elementwise node writes over the rows that it reads if no other node reads them: `home` tells in whose rolling buffer
a value lies.

A node from which no path leads to the driver (a bias's sum, a part kept for the backward) is a follower: each step it
takes all rows that exist. The last step finishes everything, rows that the driver never needs included.

Inside the body an image lies channel by channel. An image that the region reads or gives may lie row by row (NHCW)
instead. Then the rows that are read no more are one piece of memory, and a result may be written there (`runs_over`):

    step 0   |y0|x1 |x2 |x3 |…      a row of y is shorter than the rows of x that a step reads for the last time
    step 1   |y0|y1|.|x2 |x3 |…     (dots: neither)
"""

from dataclasses import dataclass
from functools import cached_property

from workbench.errors import ShapeError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Footprint, Reach, Refusal, Tile
from workbench.ir.types import BITS

STACK = 128  # bytes: more than a region's own bookkeeping was seen to add to the stack (116 at most, in mobilenet)


@dataclass(frozen=True)
class Stage:
    """One node of the body: the rows it makes in all, whether it follows, and the images it reads: value and reach."""

    node: Node
    needs: Footprint
    height: int
    follows: bool
    reads: tuple[tuple[str, Reach], ...]

    @cached_property
    def image(self) -> str:
        """The value it makes row by row; "" where its result is made of all rows together."""
        return "" if self.needs.gives == "sum" else self.node.results[0]


@dataclass(frozen=True)
class Strips:
    """How a body runs: `step` rows of the driver at a time, the `stages` in order, the driver last.

    `kept`: image -> the rows of its rolling buffer. `home`: image -> the image whose rolling buffer it lies in: itself,
    or what an elementwise node makes of it.
    """

    body: Graph
    step: int
    stages: tuple[Stage, ...]
    kept: dict[str, int]
    home: dict[str, str]

    @property
    def batch(self) -> int:
        first = self.stages[0]
        return self.body.types[first.image or first.reads[0][0]].shape[0]

    def maker(self, value: str) -> int | None:
        """The index of the stage that makes an image; None for the region's operands."""
        return self._makers.get(value)

    def readers(self, value: str, follow: bool) -> list[tuple[int, Reach]]:
        """Stages that read an image, and how."""
        return self._readers.get((value, follow), [])

    @cached_property
    def _makers(self) -> dict[str, int]:
        return {stage.image: index for index, stage in enumerate(self.stages) if stage.image}

    @cached_property
    def _readers(self) -> dict[tuple[str, bool], list[tuple[int, Reach]]]:
        readers: dict[tuple[str, bool], list[tuple[int, Reach]]] = {}
        for index, stage in enumerate(self.stages):
            for name, reach in stage.reads:
                readers.setdefault((name, stage.follows), []).append((index, reach))
        return readers

    def bytes(self, value: str) -> int:
        """Of the rows kept of an image, in whole words."""
        kind = self.body.types[value]
        _, channels, _, width = kind.shape
        return -(-channels * self.kept[value] * width * BITS[kind.dtype] // 32) * 4

    def gaps(self, value: str) -> bool:
        """Whether the first step makes fewer rows of an image than there is room for: some memory is unwritten."""
        maker = self.maker(value)
        return maker is not None and self.targets[0][maker] < self.kept.get(value, self.body.types[value].shape[2])

    @property
    def scratch(self) -> int:
        return sum(map(self.bytes, self.kept))

    @cached_property
    def images(self) -> frozenset[str]:
        """Operands that the region reads only row by row, and results made so: these images may lie row by row."""
        whole = {
            name
            for stage in self.stages
            for index, name in enumerate(stage.node.operands)
            if index not in stage.needs.reads
        }
        read = {name for stage in self.stages for name, _ in stage.reads if name in self.body.inputs}
        return frozenset((read - whole) | (self._makers.keys() & set(self.body.outputs)))

    @cached_property
    def read_by(self) -> tuple[list[tuple[int, Reach]], ...]:
        """For each stage the stages, followers left out, that read its image, and how."""
        return tuple(self.readers(stage.image, follow=False) for stage in self.stages)

    @cached_property
    def targets(self) -> tuple[list[int], ...]:
        """For each step the `ends` of the stages."""
        last = self.stages[-1].height
        return tuple(ends(self, min(begin + self.step, last)) for begin in range(0, last, self.step))


def strips(body: Graph, step: int) -> Strips:
    """How `body` runs `step` rows of its last node at a time. Raises ShapeError for a body that cannot."""
    known: dict[object, Strips] = body.analysis.memo
    if ("strips", step) not in known:
        known["strips", step] = _strips(body, step)
    return known["strips", step]


def _strips(body: Graph, step: int) -> Strips:
    if len(body.nodes) == 0 or step < 1:
        raise ShapeError("region: its body has at least one node, its strips at least one row")
    stages = _stages(body)
    home = _homes(body, stages)
    inner = [image for image in home if home[image] == image and image not in body.outputs]
    plan = Strips(body, step, stages, dict.fromkeys(inner, 0), home)
    made = [0] * len(stages)
    for target in plan.targets:
        for index, stage in enumerate(stages):
            if stage.image in plan.kept:
                plan.kept[stage.image] = max(plan.kept[stage.image], target[index] - _keep(plan, stage.image, made))
            made[index] = target[index]
    return plan


def _homes(body: Graph, stages: tuple[Stage, ...]) -> dict[str, str]:
    home = {stage.image: stage.image for stage in stages if stage.image}
    readers = body.analysis.readers
    for stage in reversed(stages):
        if not stage.image or stage.follows:
            continue
        able = [stage.node.operands[index] for index in _in_place(stage)]
        over = [name for name in able if name in home and len(readers[name]) == 1 and name not in body.outputs]
        home |= dict.fromkeys(over[:1], home[stage.image])
    return home


def _stages(body: Graph) -> tuple[Stage, ...]:
    made = body.analysis.maker.keys()
    leads = {body.nodes[-1].results[0]}  # first results of nodes from which a path leads to the driver
    for node in reversed(body.nodes):
        if node.results[0] in leads:
            leads.update(node.operands)
    stages = []
    for node in body.nodes:
        types = [body.types[name] for name in node.operands]
        needs = ops.get(node.op).needs(Tile("rows"), types, node.attrs)
        result = body.types[node.results[0]]
        if isinstance(needs, Refusal):
            raise ShapeError(f"region: {node.op} {needs.reason}")
        if node.overwrites or any(kind.layout for kind in (*(types[at] for at in needs.reads), result)):
            raise ShapeError(f"region: {node.op} cannot work row by row")
        reads = tuple((node.operands[at], reach) for at, reach in needs.reads.items())
        if any(body.types[name].rank != 4 for name, _ in reads) or (result.rank != 4 and needs.gives != "sum"):
            raise ShapeError(f"region: {node.op} works row by row on images only")
        whole = made & set(node.operands) - {name for name, _ in reads}
        follows = node.results[0] not in leads
        if whole or (follows and not (made & set(node.operands) and all(reach == Reach() for _, reach in reads))):
            raise ShapeError(f"region: {node.op} would need all of %{node.operands[0]} at once")
        if any(reach.high < 0 for _, reach in reads):
            raise ShapeError(f"region: {node.op} has rows that lie in its padding alone")
        height = needs.extent if needs.gives == "sum" else result.shape[2]
        stages.append(Stage(node, needs, height, follows, reads))
    finished = {stage.node.results[0] for stage in stages if stage.needs.gives == "sum"}
    loose = (made - {stage.image for stage in stages}) | finished
    if not loose <= set(body.outputs) or not set(body.outputs) <= made:
        raise ShapeError("region: masks and sums are results of the region, and nothing is that its body does not make")
    return tuple(stages)


def ends(plan: Strips, driver: int) -> list[int]:
    """For each stage the number of rows that it has made when the driver has made `driver` rows."""
    stages = plan.stages
    if driver == stages[-1].height:
        return [stage.height for stage in stages]
    end = [0] * (len(stages) - 1) + [driver]
    for index in reversed(range(len(stages) - 1)):
        needed = 0
        for reader, reach in plan.read_by[index]:
            needed = max(needed, reach.end(end[reader]))
        end[index] = min(stages[index].height, needed)
    for index, stage in enumerate(stages):
        if stage.follows:
            end[index] = min(end[at] for name, _ in stage.reads if (at := plan.maker(name)) is not None)
    return end


def runs_over(plan: Strips, image: str, result: str) -> bool:
    """Whether `result` may begin where `image` does, both row by row: no row is overwritten before its last read.

    An elementwise node may read, itself, the row that it writes over.
    """
    if not {image, result} <= plan.images or image not in plan.body.inputs or result not in plan.body.outputs:
        return False
    if plan.batch > 1 or plan.body.types[image].dtype != plan.body.types[result].dtype:
        return False
    row, result_row = (plan.body.types[name].bytes // plan.body.types[name].shape[2] for name in (image, result))
    done = [0] * len(plan.stages)
    for target in plan.targets:
        for index, stage in enumerate(plan.stages):
            before, done[index] = done[index], target[index]
            if plan.home.get(stage.image) == result:
                operands = [at for at, name in enumerate(stage.node.operands) if name == image]
                same = row == result_row and set(operands) <= set(_in_place(stage))
                read = done if same else [*done[:index], before, *done[index + 1 :]]
                if target[index] * result_row > _unread(plan, image, read) * row:
                    return False
    return True


def _in_place(stage: Stage) -> tuple[int, ...]:
    kernel = ops.get(stage.node.op).kernel
    return tuple(index for index in kernel.in_place if index < len(stage.node.operands)) if kernel else ()


def _unread(plan: Strips, image: str, done: list[int]) -> int:
    """The first row of an operand that some stage will still read when the stages have made `done` rows."""
    readers = [*plan.readers(image, follow=False), *plan.readers(image, follow=True)]
    first = [max(0, reach.first(done[at])) for at, reach in readers if done[at] < plan.stages[at].height]
    return min([plan.body.types[image].shape[2], *first])


def _keep(plan: Strips, value: str, made: list[int]) -> int:
    """The first row of `value` that some stage will still read when the stages have made `made` rows. (Followers have
    read all of them.)"""
    maker = plan.maker(value)
    there = [] if maker is None else [made[maker]]
    return min([*there, *(max(0, reach.first(made[at])) for at, reach in plan.readers(value, follow=False))])
