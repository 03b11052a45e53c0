"""Calls of kernels that take no tiles yet: wrappers by rows and by channels. Goes with the last of them."""

from workbench.ir import op as ops
from workbench.ir.graph import Node
from workbench.ir.kernel import Slice
from workbench.kernels.call import VIEWS, Places, c_literal
from workbench.schedule.cascade import Cascade
from workbench.schedule.stages import Stage


def is_legacy(node: Node) -> bool:
    kernel = ops.get(node.op).kernel
    return kernel is None or not kernel.tiled


def headers(plan: Cascade) -> list[str]:
    stages = [stage for stage in plan.stages if stage.needs.code and is_legacy(stage.node)]
    if plan.axis == "channels":
        return [_slice(plan, stage).header for stage in stages]
    found = [rows.header for stage in stages if (rows := ops.get(stage.node.op).rows) and rows.header]
    return ["rows_s8.h", "tiles_of_rows.h", *found]


def lines(plan: Cascade, stage: Stage, places: Places, begin: str, end: str, scratch: list[str]) -> list[str]:
    if plan.axis == "rows":
        function, numbers, pointers = _by_rows(plan, stage, places, begin, end)
    else:
        function, numbers, pointers = _by_channels(plan, stage, places, scratch)
    return [f"{function}({', '.join(numbers)},", f"    {', '.join(pointers)});"]


def _by_rows(plan: Cascade, stage: Stage, places: Places, begin: str, end: str) -> tuple[str, list[str], list[str]]:
    node, rows, types = stage.node, ops.get(stage.node.op).rows, plan.body.types
    assert rows is not None
    kinds = [types[name] for name in node.operands]
    image = "n" if plan.batch > 1 else "0"

    def view(name: str) -> str:
        return f"wb_rows_of_view_{VIEWS[types[name].dtype]}({places.view(name)}, {image})"

    def whole(name: str, parted: bool) -> str:
        each = types[name].elements // plan.batch
        if types[name].dtype == "bit":
            return f"(wb_bits){{ {places.address[name]}, {f'n * {each}' if plan.batch > 1 else 0} }}"
        return places.address[name] + (f" + n * {each}" if parted and plan.batch > 1 else "")

    operands: list[str] = []
    for at, name in enumerate(node.operands):
        if at in rows.images:
            operands.append(view(name))
        elif types[name].bytes:
            operands.append(whole(name, types[name].dtype == "bit" or at in rows.parted))
            operands += [places.rest.get(name, "")] * (name in places.rest)
    operands += ["wb_no_rows" if at in rows.images else "0" for at in range(len(kinds), rows.operands)]
    results = [view(name) if name == stage.value else whole(name, types[name].rank == 4) for name in node.results]
    results += ["wb_no_bits"] * (rows.results - len(results))
    function = rows.function if isinstance(rows.function, str) else rows.function(*kinds, **node.attrs)
    return function, [*map(str, rows.literals(*kinds, **node.attrs)), begin, end], [*operands, *results]


def _by_channels(plan: Cascade, stage: Stage, places: Places, scratch: list[str]) -> tuple[str, list[str], list[str]]:
    node, op, tile = stage.node, ops.get(stage.node.op), _slice(plan, stage)
    fewer = tile.channels < plan.extent
    count = f"wb_min({plan.step}, {tile.channels} - first)" if fewer else str(plan.step)
    numbers = [number.replace("count", count) if isinstance(number, str) else number for number in tile.literals]

    def at(name: str, index: int) -> str:
        by = tile.advance.get(index, 0)
        address = f"{places.views[name]}.at" if name in places.views else places.address[name]
        return f"{address} + first * {by}" if by > 1 else f"{address} + first" if by else address

    operands: list[str] = []
    for index, name in enumerate(node.operands[: tile.begins]):
        operands.append(at(name, index))
        operands += [places.rest.get(name, "0")] * (index in op.needed_kernel.split)
    operands += ["0"] * (tile.operands - len(node.operands))
    results = [at(name, -1) for name in node.results[len(op.taken(node.attrs)) :]]
    return tile.function, list(map(c_literal, numbers)), [*operands, *results, *scratch]


def _slice(plan: Cascade, stage: Stage) -> Slice:
    where = tuple(at for at, name in enumerate(stage.node.operands) if name in plan.makers)
    made = ops.get(stage.node.op).slices(where, *(plan.body.types[x] for x in stage.node.operands), **stage.node.attrs)
    assert made is not None
    return made
