"""Who runs the steps of a training, and the held-out samples behind them.

Emulated     every step on the emulated core
"""

import numpy as np

from workbench.emulate.device import Device
from workbench.feeding import Step

EMULATED, NATIVE, AUTO = ENGINES = ("emulated", "native", "auto")


class Emulated:
    """Every step and every output on the emulated core. `device` holds the training's state: weights and the rest."""

    used = EMULATED

    def __init__(self, device: Device):
        self.device = self.emulated = device
        self.emulated_steps = 0

    def step(self, step: Step, last: bool) -> float:
        """One step; its mean loss. `last`: no other comes after it."""
        self.emulated_steps += 1
        return step.run(self.device)

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """What wb_forward gives for any number of inputs: float32 (samples, values)."""
        return self.device.outputs(inputs)
