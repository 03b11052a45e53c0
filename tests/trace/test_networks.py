"""Counting on real training steps: blocks against a code hook on every instruction, conditions accounted for."""

import numpy as np
import pytest
from numba import cfunc

from workbench import boards, frontends, session
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.trace import pointers
from workbench.trace.tracer import Tracer


@cfunc(pointers.block_signature)
def count_address(uc, address, size, user):
    halfword = (address & 0xFFFFF) >> 1
    pointers.put64(user, halfword, pointers.get64(user, halfword) + 1)


def condition_failed(machine: Machine, counts: np.ndarray) -> int:
    """Instructions that an IT block held and the code hook never saw: executions of each `it` times what it covers,
    less the hook's counts there (nothing jumps into an IT block). The encoding: 0xBFxy, y's lowest set bit ends it."""
    skipped = 0
    for begin, end in machine.elf.code_ranges:
        code = np.frombuffer(machine.read(begin, end - begin), np.uint16)
        at = 0
        while at < len(code):
            word = int(code[at])
            wide = word >> 11 in (0b11101, 0b11110, 0b11111)
            if not wide and word >> 8 == 0xBF and word & 0xF:
                covered, place = 4 - (word & -word).bit_length() + 1, at + 1
                for _ in range(covered):
                    where = (begin & 0xFFFFF) // 2
                    skipped += int(counts[where + at] - counts[where + place])
                    place += 2 if int(code[place]) >> 11 in (0b11101, 0b11110, 0b11111) else 1
            at += 2 if wide else 1
    return skipped


@pytest.mark.parametrize("board", ["nrf52840", "stm32f746"])
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_instructions_of_a_training_step_are_exact(name, board, tmp_path):
    built = session.build(session.compile(frontends.load(name)), boards.get(board), tmp_path)
    rng = np.random.default_rng(3)

    def step(attach):
        device = Device(Machine(built.image.elf, built.board), list(built.project.buffers), list(built.project.ops))
        device.set_rates(0.02, 0.02)
        image = rng.random(device.input.size // 4, np.float32)
        device.feed(image, np.array([3], np.int32))
        result = attach(device)
        return device, image, result

    counts = np.zeros(1 << 20, np.int64)
    device, image, _ = step(lambda d: d.machine.add_native_hook("code", count_address.address, counts.ctypes.data))
    device.machine.call("wb_train_step")
    skipped = condition_failed(device.machine, counts)

    device, _, tracer = step(lambda d: Tracer(d.machine, d.buffers, d.ops, "ops"))
    device.feed(image, np.array([3], np.int32))
    tracer.attach()
    tracer.begin_call()
    device.machine.call("wb_train_step")
    assert skipped > 0
    assert tracer.totals().instructions == counts.sum() + skipped
