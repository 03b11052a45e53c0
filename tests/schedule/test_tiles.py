"""Rows leave the bits of whole images: the same body run by rows and, node by node, at once, both emulated."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from samples import SEED, in_dtype, packed, read, side_by_side

from workbench import boards
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder
from workbench.ir.op import get
from workbench.ir.verify import verify
from workbench.schedule._samples_of_int8 import through_layers_of_int8, through_residual_of_int8
from workbench.schedule._samples_of_pooling import (
    meaned_early_of_int8,
    meaned_of_int8,
    through_averages,
    through_pooling,
)
from workbench.schedule.cascade import cascade
from workbench.toolchain import build

BODIES = {
    through_layers_of_int8: 3,
    through_residual_of_int8: 1,
    through_averages: 2,
    through_pooling: 1,
    meaned_of_int8: 2,
    meaned_early_of_int8: 1,
}  # by so many rows


def inlined(outer: Builder, body, operands):
    """The nodes of a body, each by itself; its outputs."""
    values = dict(zip(body.inputs, operands, strict=True))
    for node in body.nodes:
        results = outer.op(node.op, *(values[name] for name in node.operands), **node.attrs)
        values.update(zip(node.results, results if isinstance(results, tuple) else (results,), strict=True))
    return [values[name] for name in body.outputs]


def in_parts(body):
    """The body with its int8 weights updated in part, so that they lie in two arrays: some channels, or filters."""
    of = {node.operands[1]: node.attrs["groups"] for node in body.nodes if node.op == "qnn.conv2d_transpose"}
    parts = {name: (0, body.types[name].shape[0] // 2) if groups > 1 else (1, 1) for name, groups in of.items()}
    kinds = {name: replace(kind, needs_grad=parts.get(name, False)) for name, kind in body.types.items()}
    return replace(body, types=kinds)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """Body -> its results at once, and by rows."""
    samples = get("region").samples(np.random.default_rng(SEED))
    arrays_of = {repr(sample.attrs["body"]): sample.operands for sample in samples}
    outer, fed, made = Builder(), {}, {}
    for chain, step in BODIES.items():
        inner = Builder()
        body = inner.graph(*chain(inner)).renumbered()
        arrays, body = in_dtype(arrays_of[repr(body)], np.float32), in_parts(body.as_body())
        operands = []
        for name, array in zip(body.inputs, arrays, strict=True):
            kind, own = body.types[name], f"{chain.__name__}.{name}"
            (outer.parameter if kind.needs_grad else outer.input)(own, kind.shape, kind.dtype)
            outer.types[own] = kind
            operands.append(outer.value(own))
            fed[own] = array
        results = outer.region(*operands, body=body, step=step)
        by_rows = results if isinstance(results, tuple) else (results,)
        made[chain] = [*inlined(outer, body, operands), *by_rows]
    graph = verify(outer.graph(*(value for values in made.values() for value in values)))
    assert any(isinstance(graph.types[name].needs_grad, tuple) for name in graph.parameters)
    board = boards.get("virtual-m4")
    project = generate(graph, side_by_side(graph), fed, board)
    machine = Machine(build(project, board, tmp_path_factory.mktemp("tiles"), 0).elf, board)
    machine.start()
    place = {value: machine.elf.address(row.symbol) + row.offset for row in project.buffers for value in row.values}
    for name in graph.inputs:
        machine.write_array(place[name], packed(fed[name]))
    machine.call("wb_train_step")
    return {key: [read(machine, place[value.name], value.type) for value in values] for key, values in made.items()}


@pytest.mark.parametrize("chain", BODIES, ids=lambda chain: chain.__name__)
def test_rows_leave_the_bits_of_whole_images(chain, emulated):
    results = emulated[chain]
    half = len(results) // 2
    for at_once, by_rows in zip(results[:half], results[half:], strict=True):
        assert at_once.any()
        assert np.array_equal(at_once.view(np.uint8), by_rows.view(np.uint8))


def test_scratch_that_lasts_from_tile_to_tile_shares_no_byte():
    """Two means in one region, beside buffers and a convolution that fills its scratch anew in each step."""
    inner = Builder()
    plan = cascade(inner.graph(*meaned_of_int8(inner)).renumbered(), "rows", 1)
    pieces = [(plan.offsets[value], plan.bytes_of(value, count)) for value, count in plan.kept.items()]
    pieces += [(begin, 4 * 5) for begin in plan.lasting.values()]  # int32 sums of 5 channels
    pieces.append((plan.inner, 4 * 4 * 9))  # of one channel the filters as floats
    assert len(plan.lasting) == 2
    assert all(begin + size == following for (begin, size), (following, _) in pairwise(sorted(pieces)))
    assert plan.scratch == sum(size for _, size in pieces)
