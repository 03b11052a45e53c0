"""model.h: where inputs, labels, weights and rates lie, and which functions to call; read by C and by C++."""

from collections.abc import Iterator, Mapping
from textwrap import wrap

from workbench.autodiff import fed_targets, loss_nodes
from workbench.boards import Board
from workbench.codegen.layout import ARENA, Layout, c_identifier
from workbench.ir.graph import Graph
from workbench.ir.types import BITS, STREAM, TensorType
from workbench.kernels.call import C_TYPE, CAST
from workbench.kernels.declared import reserved
from workbench.plan.memory import MemoryPlan
from workbench.tables import BufferRow
from workbench.units import frequency

OWN = (ARENA, "wb_step", "wb_forward", "wb_accumulate", "wb_train_step")  # what model.h declares of every network


def model_header(graph: Graph, layout: Layout, plan: MemoryPlan, rates: Mapping[str, float], board: Board) -> str:
    """The text of model.h; `rates` are the initial values of the scalars lr and lr_bias."""
    faces = dict(_faces(graph, layout))
    about = [
        "model.h - the training step's memory and entry points.",
        *_protocol(graph, layout, faces, rates),
        "In a project of your own, compile the .c files but startup.c and main.c, with -ffp-contract=off (for the same "
        "bits) and -fno-strict-aliasing (one arena holds all types). The arena needs no initial values.",
        f"Milliseconds that the workbench tells are modelled cycles at {frequency(board.clock_hz)}, zero wait states; "
        "startup.c leaves the clock as it is after a reset.",
    ]
    lines = [
        *_comment(about),
        "#ifndef MODEL_H", "#define MODEL_H", "", "#include <stdint.h>", "",
        "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        "#define F32(base, offset) ((float *)(void *)((base) + (offset)))",
        "#define I32(base, offset) ((int32_t *)(void *)((base) + (offset)))",
        "#define I16(base, offset) ((int16_t *)(void *)((base) + (offset)))",
        "#define I8(base, offset) ((int8_t *)(void *)((base) + (offset)))",
        "#define BITS(base, offset) ((uint32_t *)(void *)((base) + (offset)))", "",
        f"extern uint8_t {ARENA}[{max(plan.plan.bytes, 8)}];", "",
    ]  # fmt: skip
    for symbol, value in faces.items():
        row, kind = layout.row[layout.root[value]], graph.types[value]
        lines.append(f"#define {symbol} {CAST[kind.dtype]}({ARENA}, {row.offset}) /* {_described(kind)} */")
    streams = _streams(graph)
    for name, kind in streams.items():  # declared for whoever replaces main.c
        lines.append(f"/* {name}: {_described(kind)}, by rows of all channels */")
        lines.append("void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to);")
    lines.append("")
    for row in layout.buffers:
        if row.storage != "arena":
            lines.append(f"extern {declaration(graph, row)};")
    lines += [
        *([] if counts(layout) else ["extern uint32_t wb_step; /* training steps done */"]),
        "",
        "void wb_forward(void);",
        *(["void wb_accumulate(void); /* all but the last batch of a step */"] if accumulates(layout) else []),
        "void wb_train_step(void);",
        "",
    ]
    lines += [f"void {row.symbol}(void);" for row in layout.ops]
    return "\n".join([*lines, "", "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""])


def _protocol(graph: Graph, layout: Layout, faces: dict[str, str], rates: Mapping[str, float]) -> Iterator[str]:
    """How to train and how to infer, in this network's own symbols: a paragraph each."""
    losses = loss_nodes(graph)
    targets = [symbol for symbol, value in faces.items() if value in fed_targets(graph)]
    inputs = [symbol for symbol, value in faces.items() if value in graph.inputs and symbol not in targets]
    asks = ", which asks wb_read_rows for the image" if _streams(graph) else ""
    if not losses:
        yield f"To run it, {_write(inputs)}call wb_train_step(){asks}."
        return
    scalars = {row.name: row.symbol for row in layout.buffers if row.role == "scalar"}
    known = [f"{scalars[name]} (at first {rate:.9g})" for name, rate in rates.items() if name in scalars]
    call = (
        "wb_accumulate() or, for the last batch of a step, wb_train_step()"
        if accumulates(layout)
        else "wb_train_step()"
    )
    yield (
        f"To train, for each batch {_write([*inputs, *targets])}call {call}{asks}. "
        f"{'' if targets else 'The input is its own target. '}"
        "wb_loss is then the batch's mean loss before the update. "
        + (f"Learning rates: {', '.join(known)}; write others between two calls, 0 learns nothing. " if known else "")
        + (f"{scalars['seed']} seeds the rounding of int8 updates." if "seed" in scalars else "")
    ).strip()
    yield (
        f"To infer, {_write(inputs)}call wb_forward(){asks}: wb_logits hold until the next call, and are promised here "
        "only."
    )


def _write(symbols: list[str]) -> str:
    return f"write {' and '.join(symbols)} and " if symbols else ""


def _comment(paragraphs: list[str]) -> list[str]:
    texts = ["\n * ".join(wrap(text, 116)) for text in paragraphs]
    return ["/* " + "\n *\n * ".join(texts) + " */"]


def _faces(graph: Graph, layout: Layout) -> Iterator[tuple[str, str]]:
    """(C symbol, value) for each value of the arena that the host writes or reads."""
    stems = [("wb_" + name, name) for name in graph.inputs if graph.types[name].rank and graph.types[name].bytes]
    stems += [("wb_logits", node.operands[0]) for node in loss_nodes(graph)]
    taken = {row.symbol for row in layout.buffers} | {*OWN, *reserved()}
    for stem, value in stems:
        taken.add(symbol := c_identifier(stem, taken))
        yield symbol, value


def _streams(graph: Graph) -> dict[str, TensorType]:
    return {name: graph.types[name] for name in graph.inputs if graph.types[name].layout == STREAM}


def _described(kind: TensorType) -> str:
    """'int8_t [1, 3, 8, 8], q stands for (q + 128) * 0.00392156886'."""
    order = (
        f", stored as {kind.layout}: a row of all channels, then the next" if kind.layout not in ("", STREAM) else ""
    )
    zero = f"{'+' if kind.zero_point < 0 else '-'} {abs(kind.zero_point)}"
    scale = f", q stands for (q {zero}) * {kind.scale:.9g}" if kind.scale else ""
    return f"{C_TYPE[kind.dtype]} {list(kind.shape)}{order}{scale}"


def declaration(graph: Graph, row: BufferRow) -> str:
    kind = graph.types[row.values[0] if row.values else row.parameter]
    const = "const " if row.storage == "flash" else ""
    return f"{const}{C_TYPE[kind.dtype]} {row.symbol}" + (f"[{row.size * 8 // BITS[kind.dtype]}]" if kind.rank else "")


def counts(layout: Layout) -> bool:
    """Whether the graph itself has a scalar for the steps done: it needs one to round updates stochastically."""
    return any(row.symbol == "wb_step" for row in layout.buffers)


def accumulates(layout: Layout) -> bool:
    """Whether gradients are summed over several calls: wb_accumulate, then wb_train_step for the last."""
    state = {row.id for row in layout.buffers if row.role == "state"}
    return any(row.phase == "backward" and state.intersection(row.writes) for row in layout.ops)
