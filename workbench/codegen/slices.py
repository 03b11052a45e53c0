"""The C of a region in channel tiles (see ir/slices.py).

the current tile of an inner value                float *const v0 = F32(wb_arena + 512, 0);
reductions over channels start at zero            wb_zero_f32(3072, F32(wb_arena, 12288));
tile by tile                                      for (int first = 0; first < 192; first += 8) {
parameters and masks from the tile's channels on      sum_sgd_s8(1, 8, …, p_bias + first, v0, …);
                                                  }
"""

from workbench.codegen.layout import c_literal
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.slices import Slices, Stage, slices


def slices_headers(body: Graph) -> list[str]:
    return ["rows_f32.h", *(stage.slice.header for stage in slices(body, 1).stages if stage.slice.function)]


def slices_body(body: Graph, step: int, outer: dict[str, str], rest: dict[str, str], scratch: str) -> str:
    """The statements. `outer`: an input or output of the body -> its address; `rest`: a weight -> its second part's."""
    plan = slices(body, step)
    first = {offset: name for name, offset in reversed(plan.offset.items())}  # the value that lies there first
    variables = {offset: f"v{number}" for number, offset in enumerate(sorted(first))}
    address = outer | {name: variables[offset] for name, offset in plan.offset.items()}
    lines = [
        f"float *const {variable} = F32({scratch}, {offset}); /* {body.label(first[offset])}, {step} channels of it */"
        for offset, variable in variables.items()
    ]
    for stage in plan.stages:
        name, begins = stage.node.results[0], stage.slice.begins
        if stage.slice.gives != "sum":
            continue
        if begins is None:
            lines.append(f"wb_zero_f32({body.types[name].elements}, {outer[name]});")
        elif outer[name] != (source := outer[stage.node.operands[begins]]):
            lines.append(f"wb_copy_f32({body.types[name].elements}, {source}, {outer[name]});")
    each = f"first += {step}" if step > 1 else "++first"
    lines.append(f"for (int first = 0; first < {plan.channels}; {each}) {{")
    for stage in plan.stages:
        if stage.slice.function:
            lines += [f"    {line}" for line in _call(plan, stage, address, rest, f"{scratch} + {plan.inner}")]
    return "".join(f"    {line}\n" for line in [*lines, "}"])


def _call(plan: Slices, stage: Stage, address: dict[str, str], rest: dict[str, str], scratch: str) -> list[str]:
    node, tile, op = stage.node, stage.slice, ops.get(stage.node.op)
    fewer = tile.channels < plan.channels
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


def _from(address: str, elements: int) -> str:
    """The address of channel `first`, where channels are `elements` apart; 0: each tile gets the whole."""
    return f"{address} + first * {elements}" if elements > 1 else f"{address} + first" if elements else address
