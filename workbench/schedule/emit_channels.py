"""The C of a region in channel tiles (see slices.py).

the current tile of an inner value                float *const v0 = F32(wb_arena + 512, 0);
reductions over channels start at zero            wb_zero_f32(3072, F32(wb_arena, 12288));
tile by tile                                      for (int first = 0; first < 192; first += 8) {
parameters and masks from the tile's channels on      sum_sgd_s8(1, 8, …, p_bias + first, v0, …);
                                                  }
"""

from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.kernel import Slice
from workbench.kernels.call import VIEWS, c_literal, call, no_view, whole
from workbench.schedule.cascade import Cascade
from workbench.schedule.region import cascade_of
from workbench.schedule.stages import Stage


def slices_headers(body: Graph) -> list[str]:
    plan = cascade_of(body, "channels", 1)
    return ["rows_f32.h", *(_header(plan, stage) for stage in plan.stages if stage.needs.code)]


def _header(plan: Cascade, stage: Stage) -> str:
    kernel = ops.get(stage.node.op).needed_kernel
    return kernel.header if kernel.tiled else _legacy(plan, stage).header


def _legacy(plan: Cascade, stage: Stage) -> Slice:
    inside = plan.home.keys()
    where = tuple(at for at, name in enumerate(stage.node.operands) if name in inside)
    made = ops.get(stage.node.op).slices(where, *(plan.body.types[x] for x in stage.node.operands), **stage.node.attrs)
    assert made is not None
    return made


def slices_body(body: Graph, step: int, outer: dict[str, str], rest: dict[str, str], scratch: str) -> str:
    """The statements. `outer`: an input or output of the body -> its address; `rest`: a weight -> its second part's."""
    plan = cascade_of(body, "channels", step)
    offset = {name: plan.offsets[plan.home[name]] for name in plan.home}
    first = {at: name for name, at in reversed(offset.items())}  # the value that lies there first
    variables = {offset: f"v{number}" for number, offset in enumerate(sorted(first))}
    address = outer | {name: variables[at] for name, at in offset.items()}
    lines = [
        f"float *const {variable} = F32({scratch}, {offset}); /* {body.label(first[offset])}, {step} channels of it */"
        for offset, variable in variables.items()
    ]
    for stage in plan.stages:
        name, begins = stage.node.results[0], stage.needs.begins
        if stage.needs.gives != "sum":
            continue
        if begins is None:
            lines.append(f"wb_zero_f32({body.types[name].elements}, {outer[name]});")
        elif outer[name] != (source := outer[stage.node.operands[begins]]):
            lines.append(f"wb_copy_f32({body.types[name].elements}, {source}, {outer[name]});")
    each = f"first += {step}" if step > 1 else "++first"
    lines.append(f"for (int first = 0; first < {plan.extent}; {each}) {{")
    for stage in plan.stages:
        if stage.needs.code:
            lines += [f"    {line}" for line in _call(plan, stage, address, rest, f"{scratch} + {plan.inner}")]
    return "".join(f"    {line}\n" for line in [*lines, "}"])


def _call(plan: Cascade, stage: Stage, address: dict[str, str], rest: dict[str, str], scratch: str) -> list[str]:
    node, op = stage.node, ops.get(stage.node.op)
    if op.needed_kernel.tiled:
        return _tiled(plan, stage, address, rest, scratch)
    tile = _legacy(plan, stage)
    fewer = tile.channels < plan.extent
    count = f"wb_min({plan.step}, {tile.channels} - first)" if fewer else str(plan.step)
    numbers = [number.replace("count", count) if isinstance(number, str) else number for number in tile.literals]
    operands = []
    for index, name in enumerate(node.operands[: tile.begins]):
        operands.append(_from(address[name], tile.advance.get(index, 0)))
        if index in op.needed_kernel.split:
            operands.append(rest.get(name, "0"))
    operands += ["0"] * (tile.operands - len(node.operands))
    results = [_from(address[name], tile.advance.get(-1, 0)) for name in node.results[len(op.taken(node.attrs)) :]]
    own = [scratch] if tile.scratch(plan.step) else []
    call = [
        f"{tile.function}({', '.join(map(c_literal, numbers))},",
        f"    {', '.join([*operands, *results, *own])});",
    ]
    if fewer:
        call = [f"if (first < {tile.channels})", *(f"    {line}" for line in call)]
    return [f"/* {node.label or node.op} */", *call]


def _tiled(plan: Cascade, stage: Stage, address: dict[str, str], rest: dict[str, str], scratch: str) -> list[str]:
    node, tile, op, types = stage.node, stage.needs, ops.get(stage.node.op), plan.body.types
    kernel, fewer = op.needed_kernel, stage.needs.extent < plan.extent
    end = f"wb_min(first + {plan.step}, {tile.extent})" if fewer else f"first + {plan.step}"

    def view(name: str) -> str:
        if name not in plan.home:
            return whole(types[name], address[name])
        _, _, rows, width = types[name].shape
        what = f"{address[name]}, 0, {rows * width}, {width}, first, {end}, 0, {rows}, 0"
        return f"(wb_view_{VIEWS[types[name].dtype]}){{ {what} }}"

    operands = []
    for index, name in enumerate(node.operands[: tile.begins]):
        operands.append(view(name) if index in kernel.views else address[name])
        if index in kernel.split:
            operands.append(rest.get(name, "0"))
    missing = range(len(operands) - len(kernel.split), kernel.operands)
    operands += [no_view(types[node.operands[0]]) if at in kernel.views else "0" for at in missing]
    results = [address[name] for name in node.results[len(op.taken(node.attrs)) :]]
    if kernel.gives_view:
        results[0] = view(node.results[0])
    results += ["0"] * (kernel.results - len(results))
    own = [scratch] if tile.scratch(plan.step) else []
    _, channels, rows, _ = types[node.results[0] if kernel.gives_view else node.operands[kernel.views[0]]].as_images
    made = f"0, {channels}, 0, {rows}, 1" if tile.gives == "sum" else f"first, {end}, 0, {rows}, 0"
    kinds = [types[name] for name in node.operands]
    lines = call(kernel, kinds, node.attrs, [f"(wb_tile){{ 0, 1, {made} }}", *operands, *results, *own])
    if fewer:
        lines = [f"if (first < {tile.extent})", *(f"    {line}" for line in lines)]
    return [f"/* {node.label or node.op} */", *lines]


def _from(address: str, elements: int) -> str:
    """The address of channel `first`, where channels are `elements` apart; 0: each tile gets the whole."""
    return f"{address} + first * {elements}" if elements > 1 else f"{address} + first" if elements else address
