"""The C of a region that runs some channels at a time (see ir/slices.py).

sums that grow with each channel start at zero   wb_zero_f32(3072, F32(wb_arena, 12288));
some channels                                    for (int first = 0; first < 192; first += 8) {
each value is those channels of it                   conv2d_transpose_made_s8(…, first, 8, …, F32(wb_arena + 512, 0));
parameters and masks from these channels on          sum_sgd_s8(1, 8, …, p_bias + first, F32(wb_arena + 512, 0), …);
                                                 }
"""

from workbench.codegen.layout import c_literal
from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.slices import Slices, Stage, slices


def slices_headers(body: Graph) -> list[str]:
    return ["rows_f32.h", *(stage.slice.header for stage in slices(body, 1).stages if stage.slice.function)]


def slices_body(body: Graph, step: int, outer: dict[str, str], rest: dict[str, str], scratch: str) -> str:
    """The statements. `outer`: a body's input or output -> its address; `rest`: that of a weight's second part."""
    plan = slices(body, step)
    lines = []
    for stage in plan.stages:
        name, begins = stage.node.results[0], stage.slice.begins
        if stage.slice.gives == "sum" and begins is None:
            lines.append(f"wb_zero_f32({body.types[name].elements}, {outer[name]});")
        elif stage.slice.gives == "sum" and outer[name] != (there := outer[stage.node.operands[begins]]):
            lines.append(f"wb_copy_f32({body.types[name].elements}, {there}, {outer[name]});")
    lines.append(f"for (int first = 0; first < {plan.channels}; first += {step}) {{")
    for stage in plan.stages:
        if stage.slice.function:
            lines += [f"    {line}" for line in _call(plan, stage, outer, rest, scratch)]
    return "".join(f"    {line}\n" for line in [*lines, "}"])


def _call(plan: Slices, stage: Stage, outer: dict[str, str], rest: dict[str, str], scratch: str) -> list[str]:
    node, made, op = stage.node, stage.slice, ops.get(stage.node.op)
    fewer = made.channels < plan.channels
    count = f"wb_min({plan.step}, {made.channels} - first)" if fewer else str(plan.step)
    numbers = [number.replace("count", count) if isinstance(number, str) else number for number in made.literals]
    operands = []
    for index, name in enumerate(node.operands[: made.begins]):
        operands.append(_address(plan, name, outer, made.advance.get(index, 0), scratch))
        if index in op.kernel.split:
            operands.append(rest.get(name, "0"))
    operands += ["0"] * (made.operands - len(node.operands))
    results = [_address(plan, name, outer, made.advance.get(-1, 0), scratch) for name in node.results[len(op.takes) :]]
    own = [f"{scratch} + {plan.inner}"] if made.scratch(plan.step) else []
    lines = [
        f"/* {node.label or node.op} */",
        f"{made.function}({', '.join(map(c_literal, numbers))},",
        f"    {', '.join([*operands, *results, *own])});",
    ]
    if fewer:
        return [lines[0], f"if (first < {made.channels})", *(f"    {line}" for line in lines[1:])]
    return lines


def _address(plan: Slices, name: str, outer: dict[str, str], advance: int, scratch: str) -> str:
    if name in plan.offset:
        return f"F32({scratch}, {plan.offset[name]})"
    return f"{outer[name]} + first * {advance}" if advance else outer[name]
