"""Which results of a cascade may be written over which of its operands.

An image that the cascade reads or gives may lie row by row of all channels (NHCW). Then the rows that are read no more
are one piece of memory, and a result may be written there:

    step 0   |y0|x1 |x2 |x3 |…      a row of y is shorter than the rows of x that a step reads for the last time
    step 1   |y0|y1|.|x2 |x3 |…     (dots: neither)

A sum that all tiles accumulate into may lie where the value lies that it begins at.
"""

from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.kernel import Refusal
from workbench.schedule.cascade import Cascade, cascade
from workbench.schedule.stages import Stage


def takeovers(body: Graph) -> tuple[int | None, ...]:
    """For each output of a body the input (by index) that it updates, in its place; None where it has its own."""
    root = body.analysis.root
    return tuple(body.inputs.index(root[name]) if root[name] in body.inputs else None for name in body.outputs)


def begun(plan: Cascade) -> dict[str, str]:
    """Sum that the tiles accumulate into -> the operand that it begins at, if nothing else reads that."""
    readers = plan.body.analysis.readers
    sums = {stage.node.results[0]: stage.node.operands[stage.needs.begins]
            for stage in plan.stages if stage.needs.begins is not None}  # fmt: skip
    return {result: source for result, source in sums.items() if len(readers[source]) == 1}


def runs_over(plan: Cascade, image: str, result: str) -> bool:
    """Whether `result` may begin where `image` does, both row by row: no row is overwritten before its last read.

    An elementwise node may read, itself, the row that it writes over.
    """
    types = plan.body.types
    if not {image, result} <= plan.images or image not in plan.body.inputs or result not in plan.body.outputs:
        return False
    if plan.batch > 1 or types[image].dtype != types[result].dtype:
        return False
    row, result_row = (types[name].bytes // types[name].shape[plan.along.dimension] for name in (image, result))
    done = [0] * len(plan.stages)
    for target in plan.targets:
        for index, stage in enumerate(plan.stages):
            before, done[index] = done[index], target[index]
            if plan.home.get(stage.value) == result:
                alike = row == result_row and _only_in_place(stage, image)
                read = done if alike else [*done[:index], before, *done[index + 1 :]]
                if target[index] * result_row > _unread(plan, image, read) * row:
                    return False
    return True


def over_image(plan: Cascade, image: str, result: str) -> Cascade | None:
    """The cascade in which `result` may begin where `image` does: `plan`, or it with the result apart; or None."""
    if runs_over(plan, image, result):
        return plan
    apart = tuple(sorted({*plan.apart, plan.body.outputs.index(result)}))
    other = cascade(plan.body, plan.axis, plan.step, apart)
    return None if isinstance(other, Refusal) or not runs_over(other, image, result) else other


def _only_in_place(stage: Stage, image: str) -> bool:
    """Whether a stage may write over all that it reads of an image."""
    kernel = ops.get(stage.node.op).needed_kernel
    operands = {at for at, name in enumerate(stage.node.operands) if name == image}
    return operands <= set(kernel.in_place)


def _unread(plan: Cascade, image: str, done: list[int]) -> int:
    """The first row of an operand that some stage will still read when the stages have made `done` rows."""
    readers = [*plan.readers(image, follow=False), *plan.readers(image, follow=True)]
    first = [max(0, reach.first(done[at])) for at, reach in readers if done[at] < plan.stages[at].extent]
    return min([plan.body.types[image].shape[plan.along.dimension], *first])
