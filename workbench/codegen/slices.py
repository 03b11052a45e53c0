"""The C of a region that runs some channels at a time (see ir/slices.py).

some channels of a value inside                  float *const v0 = F32(wb_arena + 512, 0);
sums that grow with each channel start at zero   wb_zero_f32(3072, F32(wb_arena, 12288));
some channels after the others                   for (int first = 0; first < 192; first += 8) {
parameters and masks from these channels on          sum_sgd_s8(1, 8, …, p_bias + first, v0, …);
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
    first = {offset: name for name, offset in reversed(plan.offset.items())}  # who lies at each place first
    place = {offset: f"v{number}" for number, offset in enumerate(sorted(first))}
    address = outer | {name: place[offset] for name, offset in plan.offset.items()}
    lines = [
        f"float *const {variable} = F32({scratch}, {offset}); /* {body.label(first[offset])}, {step} channels of it */"
        for offset, variable in place.items()
    ]
    for stage in plan.stages:
        name, begins = stage.node.results[0], stage.slice.begins
        if stage.slice.gives != "sum":
            continue
        if begins is None:
            lines.append(f"wb_zero_f32({body.types[name].elements}, {outer[name]});")
        elif outer[name] != (there := outer[stage.node.operands[begins]]):
            lines.append(f"wb_copy_f32({body.types[name].elements}, {there}, {outer[name]});")
    each = f"first += {step}" if step > 1 else "++first"
    lines.append(f"for (int first = 0; first < {plan.channels}; {each}) {{")
    for stage in plan.stages:
        if stage.slice.function:
            lines += [f"    {line}" for line in _call(plan, stage, address, rest, f"{scratch} + {plan.inner}")]
    return "".join(f"    {line}\n" for line in [*lines, "}"])


def _call(plan: Slices, stage: Stage, address: dict[str, str], rest: dict[str, str], scratch: str) -> list[str]:
    node, made, op = stage.node, stage.slice, ops.get(stage.node.op)
    fewer = made.channels < plan.channels
    count = f"wb_min({plan.step}, {made.channels} - first)" if fewer else str(plan.step)
    numbers = [number.replace("count", count) if isinstance(number, str) else number for number in made.literals]
    operands = []
    for index, name in enumerate(node.operands[: made.begins]):
        operands.append(_from(address[name], made.advance.get(index, 0)))
        if index in op.needed_kernel.split:
            operands.append(rest.get(name, "0"))
    operands += ["0"] * (made.operands - len(node.operands))
    results = [_from(address[name], made.advance.get(-1, 0)) for name in node.results[len(op.taken(node.attrs)) :]]
    own = [scratch] if made.scratch(plan.step) else []
    call = [
        f"{made.function}({', '.join(map(c_literal, numbers))},",
        f"    {', '.join([*operands, *results, *own])});",
    ]
    if fewer:
        call = [f"if (first < {made.channels})", *(f"    {line}" for line in call)]
    return [f"/* {node.label or node.op} */", *call]


def _from(address: str, elements: int) -> str:
    """The address of channel `first`, channels being so many elements apart; of channel 0 where that is 0."""
    return f"{address} + first * {elements}" if elements > 1 else f"{address} + first" if elements else address
