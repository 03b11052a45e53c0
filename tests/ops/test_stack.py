"""The stack of every operator, measured, beside gcc's figures: what it is called for, and what the library adds."""

import subprocess

import numpy as np
import pytest
from samples import every_sample, one_project

from workbench import boards
from workbench.emulate.machine import Machine
from workbench.toolchain import sizes

ROOM = 4096


@pytest.mark.long
@pytest.mark.parametrize("board", ["virtual-m0plus", "virtual-m3", "virtual-m4", "virtual-m7", "virtual-m33"])
def test_no_operator_needs_more_stack_than_the_reserve_counts(board, tmp_path):
    project, run = one_project(boards.get(board))
    project.save(tmp_path)
    subprocess.run(["make", "-s", "-j2"], cwd=tmp_path, check=True)
    depths = sizes.stack_depths(tmp_path, [row.symbol for row in project.ops])
    machine = Machine(tmp_path / "firmware.elf", boards.get(board))
    run(machine, every_sample())
    bottom = machine.stack_top - ROOM
    for row in project.ops:
        machine.write(bottom, b"\xa5" * ROOM)
        machine.call(row.symbol)
        touched = np.flatnonzero(np.frombuffer(machine.read(bottom, ROOM), np.uint8) != 0xA5)
        assert ROOM - touched.min(initial=ROOM) <= depths[row.symbol], row.symbol
