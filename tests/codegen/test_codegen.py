"""The generated C: how it looks, that it holds only what is used, and that hostile names do not reach it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import boards, frontends, session
from workbench.codegen import generate
from workbench.codegen.layout import c_identifier, c_literals
from workbench.errors import ModelError, RecordError
from workbench.frontends import Model
from workbench.ir.build import Builder
from workbench.kernels.call import c_literal
from workbench.tables import BufferRow, OpRow, read_csv

BOARD = boards.get("nrf52840")


def project(model, policy="full", schedule="reordered"):
    compiled = session.compile(model, policy, schedule)
    return generate(compiled.graph, compiled.memory, model.weights, BOARD), compiled


def test_the_operators_of_mlp(golden):
    files = project(frontends.load("mlp"), "last-1")[0].files
    golden("mlp_last1_ops.c", files["ops_0.c"])
    golden("mlp_last1_instances.c", files["instances_0.c"])
    golden("mlp_last1_schedule.c", files["schedule.c"])
    golden("mlp_last1_model.h", files["model.h"])


def test_only_the_kernels_used_are_there():
    mlp = set(project(frontends.load("mlp"))[0].files)
    assert "kernels/matmul_f32.h" in mlp
    assert not any("conv2d" in name or "pool" in name for name in mlp)
    bias = set(project(frontends.load("lenet"), "bias-only")[0].files)
    assert "kernels/conv2d_transpose_f32.h" in bias
    assert "kernels/conv2d_backward_weight_f32.h" not in bias


def test_frozen_parameters_are_const_in_flash():
    made, _ = project(frontends.load("mlp"), "last-1")
    storage = {row.parameter: row.storage for row in made.buffers if row.parameter}
    assert {name for name, where in storage.items() if where == "sram"} == {"fc3.weight", "fc3.bias"}
    assert "const float p_fc1_weight[4096] = {" in made.files["parameters.c"]
    assert "\nfloat p_fc3_weight[320] = {" in made.files["parameters.c"]


def test_weights_survive_the_c_text_to_the_bit():
    model = frontends.load("mlp")
    odd = np.float32([0.1, -0.0, 1e-38, 1e-45, 3.4028235e38, 1 / 3, 16777217, -7])
    weights = dict(model.weights)
    weights["fc3.bias"] = np.resize(odd, 10)
    text = project(replace(model, weights=weights))[0].files["parameters.c"]
    body = text.split("float p_fc3_bias[10] = {")[1].split("}")[0]
    back = np.array([np.float32(word.strip().removesuffix("f")) for word in body.split(",") if word.strip()])
    assert back.tobytes() == weights["fc3.bias"].tobytes()


@given(values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=30))
def test_many_literals_are_those_of_each(values):
    floats = np.array(values, np.float32)
    assert c_literals(floats) == [c_literal(value) for value in floats.tolist()]
    for dtype in (np.int8, np.int32):
        whole = np.array([int(value) % 127 - 64 for value in values], dtype)
        assert c_literals(whole) == [c_literal(value.item()) for value in whole]


def test_tables_are_saved_and_read_back(tmp_path):
    made, compiled = project(frontends.load("lenet"))
    made.save(tmp_path)
    assert tuple(read_csv(tmp_path / "buffers.csv", BufferRow)) == made.buffers
    assert tuple(read_csv(tmp_path / "ops.csv", OpRow)) == made.ops
    head = (tmp_path / "buffers.csv").read_text().splitlines()[0]
    assert head == "id,name,role,storage,symbol,offset,size,lower,upper,parameter,axis,begin,end,values,shape,dtype"
    assert (tmp_path / "ops.csv").read_text().startswith("position,symbol,node,phase,reads,writes,scratch,layer\n")
    arena = [row for row in made.buffers if row.storage == "arena"]
    assert max(row.offset + row.size for row in arena) == compiled.memory.plan.bytes
    assert [op.position for op in made.ops] == list(range(len(made.ops)))
    assert all(op.symbol.startswith(f"op_{op.position:03d}_") for op in made.ops)


def test_tables_of_before_shapes_and_layers_are_read(tmp_path):
    made, _ = project(frontends.load("mlp"))
    made.save(tmp_path)
    for name, kind, rows, new in (("buffers", BufferRow, made.buffers, 2), ("ops", OpRow, made.ops, 1)):
        path = tmp_path / f"{name}.csv"
        path.write_text("".join(f"{line.rsplit(',', new)[0]}\n" for line in path.read_text().splitlines()))
        empty = {"shape": (), "dtype": ""} if new == 2 else {"layer": ""}
        assert read_csv(path, kind) == [replace(row, **empty) for row in rows]
        path.write_text(path.read_text().replace("symbol", "sign", 1))
        with pytest.raises(RecordError, match="symbol"):
            read_csv(path, kind)


@pytest.mark.parametrize("name", ["main", "float", "a-b/c", "üñí", "7up", "wb_arena", "x" * 200])
def test_any_name_becomes_c_that_compiles(name, tmp_path):
    build = Builder()
    x = build.input("input0", (1, 3))
    w, w2 = build.parameter(f"{name}.weight", (2, 3)), build.parameter(f"{name}_weight", (2, 2))
    y = build.dense(build.dense(x, w, label=name), w2)
    weights = {w.name: np.ones((2, 3), np.float32), w2.name: np.ones((2, 2), np.float32)}
    built = session.build(session.compile(Model("odd", build.graph(y), weights, None, "")), BOARD, tmp_path)
    assert built.image.elf.exists()


@pytest.mark.parametrize("name", ["count", "view_f32", "sum", "image", "forward", "step", "breakpoint"])
def test_an_input_may_be_called_as_the_firmware_calls_something(name, tmp_path):
    build = Builder()
    w = build.parameter("w", (2, 3))
    graph = build.graph(build.dense(build.input(name, (1, 3)), w))
    model = Model("odd", graph, {"w": np.ones((2, 3), np.float32)}, None, "")
    built = session.build(session.compile(model), BOARD, tmp_path)
    assert built.image.elf.exists()
    taken = f"#define wb_{name} " not in built.project.files["model.h"]
    assert taken == (name != "image")


def test_identifiers_do_not_collide():
    taken = {"p_a_b", "p_a_b_2"}
    assert c_identifier("p_a.b", taken) == "p_a_b_3"


def test_weights_that_cannot_be_written_are_refused():
    model = frontends.load("mlp")
    for bad, message in (
        ({**model.weights, "fc1.bias": np.full(64, np.nan)}, "not finite"),
        ({**model.weights, "fc1.bias": np.zeros(3)}, "needs 64 values, got 3"),
        ({k: v for k, v in model.weights.items() if k != "fc1.bias"}, "no values for parameter fc1.bias"),
    ):
        with pytest.raises(ModelError, match=message):
            project(replace(model, weights=bad))
