"""Faults seeded into the generated C of tiny networks, and which of `check` and `run --trace memory` finds each.

    .venv/bin/python tests/seeded_faults.py          prints the table of what ran

A fault is a change of text in the project's files before they are built; one that changes nothing is an error.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench import boards, session, toolchain
from workbench.artifacts import Built
from workbench.cli.check import sentence
from workbench.errors import FirmwareFault, WorkbenchError
from workbench.feeding import Training
from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.policy import Optimizer
from workbench.study.check import check
from workbench.study.findings import Finding
from workbench.training import train

BOARD = boards.get("nrf52840")


def dense() -> Model:
    net = Network("dense", (2, 6))
    x = net.relu(net.dense(net.input, "fc1", 5), "fc1")
    return net.model(net.dense(x, "fc2", 3))


def pooled() -> Model:
    net = Network("pooled", (1, 1, 6, 6))
    x = net.relu(net.conv2d(net.input, "conv", 2, 3, padding=1), "conv")
    return net.model(net.dense(net.flatten(net.max_pool2d(x, "pool", 2)), "fc", 3))


def rows() -> Model:
    """Wide enough in the middle for a region."""
    net = Network("rows", (1, 1, 12, 12))
    x = net.relu(net.conv2d(net.input, "conv1", 6, 3, padding=1), "conv1")
    x = net.relu(net.conv2d(x, "conv2", 2, 3, stride=2, padding=1), "conv2")
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "fc", 3))


def int8() -> Model:
    return in_int8(pooled())


@dataclass(frozen=True)
class Fault:
    """`edit(files, built)` gives the spoilt files of a network that is compiled with `how`; `training` is how both run.

    `check` is among what check finds, the kind of it and the operator; `trace` what the trace finds first, "" where it
    finds nothing.
    """

    name: str
    network: Callable[[], Model]
    edit: Callable[[Mapping[str, str], Built], dict[str, str]]
    check: str
    trace: str = ""
    how: Mapping = field(default_factory=dict)
    lr: float = 0.02


def text(file: str, old: str, new: str, count: int = 1):
    """Replaces `old` in a file, where it stands `count` times."""

    def edit(files, built):
        assert files[file].count(old) == count, f"{file}: {old!r} stands there {files[file].count(old)} times"
        return {**files, file: files[file].replace(old, new)}

    return edit


def pattern(file: str, old: str, new):
    """The same by a regular expression, which must match once."""

    def edit(files, built):
        changed, count = re.subn(old, new, files[file], flags=re.S)
        assert count == 1, f"{file}: {old!r} matches {count} times"
        return {**files, file: changed}

    return edit


def both(*edits):
    def edit(files, built):
        for each in edits:
            files = each(files, built)
        return files

    return edit


def swapped(files, built):
    rates = {"&wb_lr": "&wb_lr_bias", "&wb_lr_bias": "&wb_lr"}
    return {**files, "ops_0.c": re.sub(r"&wb_lr(_bias)?\b", lambda match: rates[match[0]], files["ops_0.c"])}


def at_end_of(operator: str, statement: Callable[[Built], str]):
    """Appends a statement to an operator's function."""

    def edit(files, built):
        made = re.compile(rf"(void op_\d+_{operator}\(void\)\n{{\n.*?)(\n}}\n)", re.S)
        changed, count = made.subn(lambda m: f"{m[1]}\n    {statement(built)}{m[2]}", files["ops_0.c"], count=1)
        assert count == 1, f"there is no operator {operator}"
        return {**files, "ops_0.c": changed}

    return edit


def in_operator(operator: str, old: str, new: str):
    """Replaces `old` in the function of the last such operator."""
    return lambda files, built: _in_function(files, "ops_0.c", _last(operator, built), old, new)


def in_instance(operator: str, old: str, new: str):
    """Replaces `old` in the instance that the last such operator calls, and perhaps others."""

    def edit(files, built):
        called = re.search(rf"void {_last(operator, built)}\(void\)\n{{\n    (k_\w+)\(", files["ops_0.c"])[1]
        return _in_function(files, "instances_0.c", called, old, new)

    return edit


def _last(operator: str, built: Built) -> str:
    return [op.symbol for op in built.project.ops if op.symbol.endswith(f"_{operator}")][-1]


def _in_function(files: Mapping[str, str], file: str, symbol: str, old: str, new: str) -> dict[str, str]:
    head, body, rest = re.fullmatch(rf"(.*void {symbol}\([^{{]*)(.*?\n}}\n)(.*)", files[file], re.S).groups()
    assert body.count(old) == 1
    return {**files, file: head + body.replace(old, new) + rest}


def element_of(name: str) -> Callable[[Built], str]:
    """Writes 0 into the first element of a buffer of the arena."""

    def statement(built):
        (row,) = [row for row in built.project.buffers if row.name == name]
        return f"F32(wb_arena, {row.offset})[0] = 0.0f;"

    return statement


def in_entry(entry: str, change: Callable[[list[str]], list[str]]):
    """Changes the calls of an entry."""

    def edit(files, built):
        head, body, rest = re.fullmatch(
            rf"(.*void {entry}\(void\)\n{{\n)(.*?)(}}\n.*)", files["schedule.c"], re.S
        ).groups()
        calls = body.splitlines(keepends=True)
        assert change(calls) != calls
        return {**files, "schedule.c": head + "".join(change(calls)) + rest}

    return edit


def twice(word: str):
    """The first call of such an operator, two times."""
    return lambda calls: [call * (1 + (call == _first(word, calls))) for call in calls]


def without(word: str):
    return lambda calls: [call for call in calls if call != _first(word, calls)]


def _first(word: str, calls: list[str]) -> str:
    return next(call for call in calls if word in call)


def less_by_one(match: re.Match) -> str:
    return match[0].replace(match[1], str(int(match[1]) - 1))


VANILLA = {"schedule": "vanilla"}
SGD, LOSS = "kernels/sgd_f32.h", "kernels/softmax_cross_entropy_f32.h"
STEP = "*w -= rate * sgd_gradient_f32"
POOL, ROUNDING = "kernels/max_pool2d_each.h", "kernels/sgd_s8.h"
ACCUMULATED = {**VANILLA, "optimizer": Optimizer(accumulate=2)}


def times_step(factor: str):
    """Of what is not 0: biases are to begin with, and there any step shows."""
    return text(SGD, STEP, STEP.replace("rate", f"(*w == 0.0f ? 1.0f : {factor}) * rate"))


LISTED = (
    Fault("the last operator of wb_forward is missing", dense, in_entry("wb_forward", lambda calls: calls[:-1]),
          "fault"),
    Fault("accumulation overwrites", dense,
          text("kernels/accumulate_f32.h", "    sum[i] += x[i];", "    sum[i] = x[i];"),
          "result accumulate", how=ACCUMULATED),
    Fault("momentum forgets v", dense, text(SGD, "*v = *v * p.momentum +", "*v = 0.0f * p.momentum +"),
          "result sgd_momentum", how={**VANILLA, "optimizer": Optimizer(momentum=0.9)}),
    Fault("rounding ignores the step", int8, text(ROUNDING, "+ wb_counter(step)", "+ 0u * wb_counter(step)"),
          "result conv2d_backward_weight_sgd"),
    Fault("the gradient is not divided by the batch", dense,
          text(LOSS, "dx[c] * scale * (1.0f / (float)p.batch)", "dx[c] * scale"), "result softmax_cross_entropy_grad"),
    Fault("softmax without the maximum", dense,
          text(LOSS, "largest = x[softmax_largest_f32(p.classes, x)]", "largest = 0.0f"),
          "result softmax_cross_entropy_grad"),
    Fault("the loss gradient is 1e-4 off", dense, text(LOSS, "dx[label] = -others;", "dx[label] = -1.0001f * others;"),
          "result softmax_cross_entropy_grad"),
    Fault("the weight step is doubled, at lr 1e-6", dense, times_step("2.0f"),
          "result sgd", how=VANILLA, lr=1e-6),
    Fault("the weight step has the wrong sign, at lr 1e-6", dense, times_step("-1.0f"),
          "result sgd", how=VANILLA, lr=1e-6),
    Fault("lr and lr_bias are swapped", dense, swapped, "result sum_sgd", "undeclared-read sum_sgd"),
    Fault("another scalar is read as lr", dense, in_operator("matmul_sgd", "&wb_lr)", "&wb_loss)"),
          "result matmul_sgd", "undeclared-read matmul_sgd"),
    Fault("a write past an operator's output", dense,
          at_end_of("dense", lambda built: "F32(wb_arena, 0)[10] = 1.0f;"), "outside dense", "outside dense",
          how=VANILLA),
    Fault("a 0 is written into a neighbour", dense, at_end_of("softmax_cross_entropy", element_of("fc1")),
          "operand matmul", "undeclared-write softmax_cross_entropy", how=VANILLA),
    Fault("the arena is read before it is written", dense,
          text("kernels/matmul_f32.h", "*y++ = matmul_element_f32(p, p.kept",
               "*y *= 0.0f, *y++ += matmul_element_f32(p, p.kept"),
          "unwritten-read matmul", "unwritten-read matmul", how=VANILLA),
    Fault("the weight step is 0.1 % off", dense, text(SGD, STEP, STEP.replace("rate", "1.001f * rate")),
          "result sgd", how=VANILLA),
    Fault("the last element is not updated", dense,
          pattern(SGD, r"(void sgd_f32\(.*?i < p\.count)(; \+\+i\))", r"\1 - 1\2"), "result sgd", how=VANILLA),
    Fault("the gradient of ReLU passes at 0", dense,
          text("kernels/clipped_tile_f32.h", "wb_passes_f32(activation, y[i]) ?", "activation && y[i] >= 0.0f ?"),
          "result relu_grad", how=VANILLA),
    Fault("the gradient of ReLU is not masked", dense,
          text("kernels/clipped_tile_f32.h", "wb_passes_f32(activation, y[i]) ?", "activation && y[i] > -1.0f ?"),
          "result relu_grad", how=VANILLA),
    Fault("pooling takes the last maximum", pooled,
          text(POOL, "if (!(value <= best) && WB_IS_NUMBER(best))", "if (value >= best)"),
          "result max_pool2d", how=VANILLA),
    Fault("int8: no saturation", int8,
          text(ROUNDING, "return sum > limit ? limit : sum < -limit ? -limit : sum;", "return sum;"),
          "result conv2d_backward_weight_sgd"),
    Fault("int8: the zero point is forgotten", int8,
          text("kernels/conv2d_backward_weight_s8.h", "wide, from[i] - zero,", "wide, from[i] - 0 * zero,"),
          "result conv2d_backward_weight_sgd"),
    Fault("int8: off by one", int8,
          text("kernels/gemm_s8.h", "int zero = f.zero + clip_raise", "int zero = f.zero + 1 + clip_raise"),
          "result conv2d"),
    Fault("int8: a parameter is left out of rounding", int8,
          text(ROUNDING, "+ (uint32_t)p.parameter)", "+ 0u * (uint32_t)p.parameter)"),
          "result conv2d_backward_weight_sgd"),
    Fault("the update of a split weight writes the rest", dense,
          at_end_of("matmul_sgd", lambda built: "*(float *)(uintptr_t)p_fc2_weight_rest = 0.0f;"),
          "fault", "fault", how={"policy": "fc2:0.5"}),
)  # fmt: skip

FURTHER = (
    Fault("wb_step is not counted", dense, text("schedule.c", "    ++wb_step;\n", ""), "counter"),
    Fault("wb_step is not counted, int8", int8, text("schedule.c", "    ++wb_step;\n", ""), "counter"),
    Fault("every image of the batch is the first", dense,
          text("kernels/dense_f32.h", "*in = x + n * p.inputs", "*in = x"), "result dense"),
    Fault("every image has the first one's label", dense, text(LOSS, "label = labels[n]", "label = labels[0]"),
          "result softmax_cross_entropy_grad"),
    Fault("the last image is left out of a bias gradient", dense,
          text("kernels/sum_f32.h", "n < t.image_end; ++n", "n < t.image_end - 1; ++n"), "result sum_sgd"),
    Fault("a result lies over what is still read", dense,
          in_operator("relu_grad", "F32(wb_arena, 228))", "F32(wb_arena, 0))"),
          "result relu_grad", "undeclared-write relu_grad", how=VANILLA),
    Fault("a split weight's rest meets the wrong inputs", dense,
          text("kernels/dense_f32.h", "in[kept + i] * second[i]", "in[i] * second[i]"), "result dense",
          how={"policy": "fc2:0.5"}),
    Fault("a sum is not cleared", dense, text("kernels/accumulate_f32.h", "sum[i] = 0.0f", "sum[i] *= 1.0f"),
          "result clear", how=ACCUMULATED),
    Fault("clearing is not called", dense, in_entry("wb_train_step", without("clear")), "missing clear", "refused",
          how=ACCUMULATED),
    Fault("a gradient is accumulated twice", dense, in_entry("wb_accumulate", twice("accumulate")),
          "result accumulate", how=ACCUMULATED),
    Fault("the sum is not divided by N", dense, in_instance("sgd", "0.5f", "1.0f"), "result sgd", how=ACCUMULATED),
    Fault("weight decay is forgotten", dense, text(SGD, "g : g + w * p.weight_decay", "g : g + w * 0.0f"),
          "result sgd", how={**VANILLA, "optimizer": Optimizer(weight_decay=0.1)}),
    Fault("wb_forward changes a weight", dense,
          in_entry("wb_forward", lambda calls: [*calls, "    p_fc1_weight[7] += 1e-6f;\n"]), "return", how=VANILLA),
    Fault("wb_seed is left out", int8, text("ops_0.c", "&wb_seed", "0", 4), "missing", "refused"),
    Fault("wb_seed is ignored", int8, text(ROUNDING, "wb_counter(seed) ^", "(wb_counter(seed) == 1234567u) ^"),
          "result conv2d_backward_weight_sgd"),
    Fault("the bits of a mask are in another order", rows,
          text("kernels/activation_f32.h", "<< (i - start)", "<< (31 - (i - start))"), "result conv2d",
          how=VANILLA),
    Fault("a region drops its last rows", rows, pattern("ops_0.c", r"row < (\d+);", less_by_one), "result region",
          how={"policy": "last-1"}),
    Fault("a weight is wrong to begin with", dense, pattern("parameters.c", r"\A(.*? = {\n    )-?", r"\g<1>9"),
          "start"),
    Fault("int8: the result of a layer does not saturate", int8,
          text("kernels/requantize_s8.h", "(int8_t)wb_min(wb_max(value, low), high)", "(int8_t)value"),
          "result conv2d"),
)  # fmt: skip


def spoilt(fault: Fault, folder: Path) -> Built:
    done = session.compile(fault.network(), **fault.how)
    good = session.generate(done.graph, done.memory, done.weights, BOARD)
    built = Built(done, BOARD, good, None, 0.0)
    files = fault.edit(dict(good.files), built)
    assert files != good.files, f"{fault.name}: nothing changed"
    project = replace(good, files=files)
    return replace(built, project=project, image=toolchain.build(project, BOARD, folder, done.memory.plan.bytes))


def found_by_check(built: Built, fault: Fault) -> tuple[Finding, ...]:
    return check(built, Training(lr=fault.lr)).findings


def found_by_trace(built: Built, fault: Fault) -> str:
    """What `run --trace memory` says first: a fault, a violation and its operator."""
    try:
        run, _ = train(built, Training(steps=2, lr=fault.lr, trace="memory", evaluate=False))
    except FirmwareFault:
        return "fault"
    except WorkbenchError:
        return "refused"
    table = run.violations
    return "" if table.empty else named(table.iloc[0].kind, table.iloc[0].op)


def named(kind: str, symbol: str) -> str:
    """'result sgd' of a finding in op_012_sgd."""
    return f"{kind} {symbol.split('_', 2)[2]}" if symbol else kind


def main(words: list[str]) -> None:
    """The table, of the faults whose names hold one of `words`, or of all."""
    print("fault | check | run --trace memory | what check says first")
    for fault in (*LISTED, *FURTHER):
        if not words or any(word in fault.name for word in words):
            with tempfile.TemporaryDirectory() as folder:
                built = spoilt(fault, Path(folder))
                findings, trace = found_by_check(built, fault), found_by_trace(built, fault)
                told = f"{findings[0].call}: {sentence(findings[0])}".splitlines()[0] if findings else ""
                print(f"{fault.name} | {fault.check if findings else '–'} | {trace or '–'} | {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
