"""A made-up training run of a small convolutional network, as `session` would record it: for tests of reports."""

import re

import pandas as pd

from workbench import boards
from workbench.record.run import ACCESSES, BUFFERS, OPS, SYMBOLS, VIOLATIONS, Run

ROOM = 16  # alignment of arena buffers, bytes


def synthetic_run(
    schedule="vanilla", layers=5, *, policy="full", trace="memory", sram_limit=256 * 1024, width=16
) -> Run:
    """A run of `layers` convolutions and a classifier; `vanilla` keeps all updates for the end. Deterministic."""
    ops, buffers = _step(schedule, layers, width)
    _allocate(buffers)
    weights = [b["size"] for b in buffers if b["role"] == "gradient" and b["name"].startswith("dw")]
    arena, bound = _extent(buffers), _bound(buffers)
    static_rows = _static(weights, len(buffers))
    static = sum(b["size"] for b in static_rows) + 212
    _observe(ops, buffers, trace, 0x20000000 + static)
    for row in static_rows:
        row["address"] = 0x20000000 + row["offset"]
    meta = _meta(schedule, policy, trace, ops, buffers, arena, bound, static, sram_limit)
    return Run(
        meta,
        graph="fn (%x: Tensor[(1, 1, 28, 28), float32]) {\n}\n",
        ops=pd.DataFrame(ops, columns=OPS),
        buffers=pd.DataFrame(buffers + static_rows, columns=BUFFERS),
        accesses=pd.DataFrame(columns=ACCESSES),
        violations=pd.DataFrame(columns=VIOLATIONS),
        symbols=pd.DataFrame([("wb_train_step", 0x4000, 120, "function")], columns=SYMBOLS),
    )


def _step(schedule, layers, width):
    """The operators and arena buffers of one step: conv, relu … dense, loss, and back again."""
    ops, buffers, ids = [], [], {}

    def buffer(name, role, size, lower=None):
        ids[name] = len(buffers)
        row = {"id": len(buffers), "name": name, "role": role, "storage": "arena", "symbol": "wb_arena", "size": size}
        life = {"lower": len(ops) if lower is None else lower, "upper": len(ops) + 1}
        kind = {"shape": "" if role == "scratch" else str(size // 4), "dtype": "" if role == "scratch" else "float32"}
        buffers.append({**row, **life, "values": f"%{len(buffers)}", **kind})

    def op(kind, phase, reads, writes, scratch=()):
        layer = (re.findall(r"\d+|head", " ".join((*writes, *reads))) or [""])[0]
        for name in (*reads, *writes):
            buffers[ids[name]]["upper"] = max(buffers[ids[name]]["upper"], len(ops) + 1)
        cells = [" ".join(str(ids[n]) for n in names) for names in (reads, writes, scratch)]
        position = len(ops)
        ops.append({"position": position, "symbol": f"op_{position:03d}_{kind}", "node": kind, "phase": phase,
                    "reads": cells[0], "writes": cells[1], "scratch": cells[2],
                    "layer": f"conv{layer}" if layer.isdecimal() else layer})  # fmt: skip

    updates = []

    def update(name):
        if schedule == "vanilla":
            updates.append(name)
        else:
            op("sgd_update", "update", (name,), ())

    sizes = [max(640, width * 768 >> (layer * 3 // layers)) for layer in range(layers + 1)]
    kernels = [9 * 8 * (2 + layer % 3) * width * (1 + layer * 3 // layers) for layer in range(layers)]
    buffer("x", "input", 3136, 0)
    buffer("label", "label", 4, 0)
    previous = "x"
    for layer in range(layers):
        if layer % 2:
            buffer(f"cols{layer}", "scratch", 2304)
        buffer(f"conv{layer}.out", "activation", sizes[layer])
        op("conv2d", "forward", (previous,), (f"conv{layer}.out",), (f"cols{layer}",) if layer % 2 else ())
        buffer(f"relu{layer}.mask", "mask", -(-sizes[layer] // 32) // 4 * 4 + 4)
        op("relu", "forward", (f"conv{layer}.out",), (f"relu{layer}.mask",))
        previous = f"conv{layer}.out"
    buffer("logits", "activation", 40)
    op("dense", "forward", (previous,), ("logits",))
    buffer("dlogits", "gradient", 40)
    op("softmax_cross_entropy", "loss", ("logits", "label"), ("dlogits",))
    upstream = "dlogits"
    buffer("dhead.weight", "gradient", sizes[layers - 1] * 2)
    op("dense_grad_w", "backward", (upstream, previous), ("dhead.weight",))
    buffer(f"d{layers - 1}", "gradient", sizes[layers - 1])
    op("dense_grad_x", "backward", (upstream,), (f"d{layers - 1}",))
    update("dhead.weight")
    for layer in reversed(range(layers)):
        upstream, source = f"d{layer}", f"conv{layer - 1}.out" if layer else "x"
        op("relu_grad", "backward", (upstream, f"relu{layer}.mask"), (upstream,))
        buffer(f"db{layer}", "gradient", 64)
        op("sum", "backward", (upstream,), (f"db{layer}",))
        update(f"db{layer}")
        buffer(f"dw{layer}", "gradient", kernels[layer])
        op("conv2d_grad_w", "backward", (upstream, source), (f"dw{layer}",))
        if layer:
            buffer(f"d{layer - 1}", "gradient", sizes[layer - 1])
            op("conv2d_grad_x", "backward", (upstream,), (f"d{layer - 1}",))
        update(f"dw{layer}")
    for name in updates:
        op("sgd_update", "update", (name,), ())
    return ops, buffers


def _allocate(buffers):
    """Largest first, each at the lowest address that is free during its life."""
    placed = []
    for buffer in sorted(buffers, key=lambda b: (-b["size"], b["id"])):
        taken = sorted((p["offset"], p["offset"] + p["size"]) for p in placed
                       if p["lower"] < buffer["upper"] and buffer["lower"] < p["upper"])  # fmt: skip
        offset = 0
        for begin, end in taken:
            if offset + buffer["size"] <= begin:
                break
            offset = max(offset, -(-end // ROOM) * ROOM)
        buffer["offset"] = offset
        placed.append(buffer)


def _extent(buffers) -> int:
    return max(b["offset"] + b["size"] for b in buffers)


def _bound(buffers) -> int:
    return max(
        sum(b["size"] for b in buffers if b["lower"] <= at < b["upper"])
        for at in range(max(b["upper"] for b in buffers))
    )


def _static(weights, first_id):
    rows, offset = [], 0
    for index, size in enumerate(weights):
        name = f"conv{index}.weight"
        row = {"id": first_id + index, "name": name, "role": "parameter", "storage": "sram", "parameter": name}
        row |= {"values": name, "shape": str(size // 4), "dtype": "float32"}
        rows.append({**row, "symbol": name.replace(".", "_"), "offset": offset, "size": size})
        offset += size
    return rows


def _observe(ops, buffers, trace, arena_address):
    """What the tracer would have seen: long-lived buffers are last read two positions before their planned end."""
    if trace == "off":
        return
    for op in ops:
        op["instructions"] = 1000 + 137 * (op["position"] * 7919 % 97) * (9 if "conv" in op["node"] else 1)
        op["cycles"] = op["instructions"] * 5 // 4
    if trace != "memory":
        return
    for op in ops:
        op["bytes_read"], op["bytes_written"] = op["instructions"] // 3, op["instructions"] // 11
    for buffer in buffers:
        host = buffer["role"] in ("input", "label")
        long = buffer["upper"] - buffer["lower"] > 4
        buffer.update(address=arena_address + buffer["offset"], first_write=-1 if host else buffer["lower"],
                      last_read=buffer["upper"] - (3 if long else 1), bytes_read=2 * buffer["size"],
                      bytes_written=buffer["size"], touched=buffer["size"])  # fmt: skip


def _meta(schedule, policy, trace, ops, buffers, arena, bound, static, sram_limit):
    traced, observed = trace != "off", trace == "memory"
    instructions = sum(op["instructions"] for op in ops) if traced else None
    cycles = sum(op["cycles"] for op in ops) if traced else None
    board = boards.get("nrf52840")
    return {
        "model": "lenet", "policy": policy, "schedule": schedule, "passes": ["fold-constants", "dead-code"],
        "board": board.name, "core": board.core, "batch": 1, "accumulate": 1, "seed": 0, "steps": 2874, "trace": trace,
        "nodes": len(ops), "macs": 25_300, "parameters": 1_900, "parameters_updated": 620,
        "loss": [2.31, 0.87, 0.11], "accuracy": {"before": 0.106, "after": 0.958},
        "instructions_per_step": instructions, "modelled_cycles_per_step": cycles,
        "milliseconds_per_step": 1000 * cycles / board.clock_hz if traced else None,
        "timing_model": "cortex-m4, zero wait states",
        "memory": {
            "arena_planned": arena, "arena_lower_bound": bound, "arena_touched": arena if observed else None,
            "static": static,
            "stack_reserve": 1536, "stack_peak": 1128, "sram_planned": static + arena + 1536,
            "sram_peak": static + arena + 1128 if observed else None, "sram_limit": sram_limit,
            "fits": static + arena + 1536 <= sram_limit,
            "planned_by_role": _by_role(buffers, arena, static, 1536),
            "touched_by_role": _by_role(buffers, arena, static, 1128) if observed else None,
        },
        "flash": {"total": 18_842}, "seconds": {"compile": 0.21, "build": 0.94, "emulate": 5.83}, "artifacts": {},
    }  # fmt: skip


def _by_role(buffers, arena, static, stack) -> dict[str, int]:
    """What static + arena + stack consist of where the most arena bytes are live."""
    positions = range(max(b["upper"] for b in buffers))
    live = [[b for b in buffers if b["lower"] <= at < b["upper"]] for at in positions]
    roles = {}
    for buffer in max(live, key=lambda alive: sum(b["size"] for b in alive)):
        roles[buffer["role"]] = roles.get(buffer["role"], 0) + buffer["size"]
    dead = arena - sum(roles.values())
    return {**roles, "dead": dead, "parameter": static - 212, "scalar": 212, "stack": stack}
