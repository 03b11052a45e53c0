"""Run the steps of a training, and forward passes of samples: on the emulated core, or on its native twin on the host.

step      1 2 3 4 5 6 7 8 9 … last
emulated  E E E E E E E E E … E      on the emulated core
native    B B N B N N N B N … B      on the host; B: on the emulated core too, from the same state, equal to the bit
auto      E E B B N B N N N … B      emulated; native as soon as the rest would take the core too long

Native steps are verified at the 1st, 2nd, 4th, 8th … of them and at the last one, wherever the training ends; native
outputs of many samples at the first and the last batch.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from workbench import native
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.errors import InternalError, RecordError, WorkbenchError
from workbench.feeding import AUTO, EMULATED, NATIVE, Step

SECONDS, AN_OPERATOR = 4.0, 0.02  # emulation that makes a twin worth it, and what compiling an operator takes
T = TypeVar("T")
KNOWN = 0.5  # seconds of emulation that tell how long the rest will take


def worth_a_twin(seconds: float, operators: int) -> bool:
    """Whether so many seconds of emulation are worth compiling a twin of so many operators."""
    return seconds > SECONDS + AN_OPERATOR * operators


class Engine:
    """`device` holds the training's state: weights and the rest. `emulated` is the core whose memory is measured.

    `files` are the project's, by name (None: not built on this machine); `integers` the symbols of state that is no
    float32, and their dtypes; `steps` how many are to come. Raises ToolchainError where a twin is asked for that cannot
    be made, InternalError where it gives other bits.
    """

    def __init__(
        self,
        asked: str,
        emulated: Device[Machine],
        files: Mapping[str, str] | None,
        integers: Mapping[str, str] = MappingProxyType({}),
        steps: int = 0,
    ):
        self.asked, self.emulated, self.files, self.integers = asked, emulated, files, integers
        self._steps = Outlook(steps)
        self.twin: Device[native.Host] | None = None
        self.compiler: str | None = None
        self.notes: list[str] = []  # why `auto` made no twin where one would have paid
        self.emulated_steps = self.native_steps = self.verified_steps = self.verified_batches = 0
        self.seconds: dict[str, float] = {}
        self._unverified: tuple[Step, dict[str, bytes], float] | None = None
        if asked == NATIVE:
            self._make_twin()

    @property
    def device(self) -> Device:
        return self.twin or self.emulated

    def step(self, step: Step) -> float:
        """One step; its mean loss."""
        twin = self.twin
        if twin is None:
            with self._steps.one():
                loss = self._emulated_step(step)
            self._make_twin_if_worth(self._steps.seconds)
            return loss
        before = twin.state()
        loss = self._timed(lambda: step.run(twin))
        self.native_steps += 1
        self._unverified = step, before, loss
        if self.native_steps & (self.native_steps - 1) == 0:
            self._verify_step()
        return loss

    def finish(self) -> None:
        """Call it after the last step, whatever ended the training: that step is verified too."""
        self._verify_step()

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """What wb_forward gives for any number of inputs: float32 (samples, values)."""
        size = self.emulated.batch_of(inputs)
        parts = [inputs[start : start + size] for start in range(0, len(inputs), size)]
        emulated: list[np.ndarray] = []
        outlook = Outlook(len(parts))
        while self.twin is None and len(emulated) < len(parts):
            with outlook.one():
                emulated.append(self.emulated.outputs(parts[len(emulated)]))
            self._make_twin_if_worth(outlook.seconds)
        twin = self.twin
        if twin is None:
            return np.concatenate(emulated)
        outputs = self._timed(lambda: twin.outputs(inputs))
        self.emulated.restore(twin.state())
        for start, which in {size * (len(parts) - 1): "last", 0: "first"}.items():
            self._verify_batch(which, outputs[start : start + size], inputs[start : start + size])
        return outputs

    def record(self) -> dict:
        """The entry of run.json. `verified`: how much of the native work the emulated core repeated, bits equal."""
        verified = {"steps": self.verified_steps, "batches": self.verified_batches}
        return {
            "used": NATIVE if self.twin else EMULATED, "compiler": self.compiler,
            "emulated_steps": self.emulated_steps, "native_steps": self.native_steps,
            "verified": verified if self.twin else None,
        }  # fmt: skip

    def close(self) -> None:
        """Release the twin's memory."""
        if self.twin:
            self.twin.machine.close()

    def _emulated_step(self, step: Step) -> float:
        self.emulated_steps += 1
        return step.run(self.emulated)

    def _timed(self, work: Callable[[], T]) -> T:
        begin = time.perf_counter()
        result = work()
        self.seconds["native"] = self.seconds.get("native", 0.0) + time.perf_counter() - begin
        return result

    # ------------------------------------------------------------------ the twin

    def _make_twin_if_worth(self, seconds: float) -> None:
        """Make it if the emulated core would take long for the rest (`seconds`), and this machine has a compiler."""
        if self.asked != AUTO or self.notes or not worth_a_twin(seconds, len(self.emulated.ops)):
            return
        try:
            self._make_twin()
        except WorkbenchError as error:
            self.notes = [f"everything was emulated: {error.message}" + (f" ({error.hint})" if error.hint else "")]

    def _make_twin(self) -> None:
        begin, state, own = time.perf_counter(), self.emulated.state(), self.emulated
        if self.files is None:
            raise RecordError("the C of this run was not built on this machine", "a run of one's own has a native twin")
        compiler = native.host_compiler()
        twin = Device(native.Host(native.library(self.files, compiler)), own.buffers, own.ops, own.stored)
        twin.restore(state)
        self.twin, self.compiler = twin, native.called(compiler)
        self.seconds["native_build"] = time.perf_counter() - begin

    # ------------------------------------------------------------------ the same bits

    def _verify_step(self) -> None:
        """Run the latest step, if the twin ran it, on the emulated core too, from the state it began in.

        Raises InternalError.
        """
        if self.twin is None or self._unverified is None:
            return
        (step, before, loss), self._unverified = self._unverified, None
        self.emulated.restore(before)
        emulated_loss = self._emulated_step(step)
        self.verified_steps += 1
        native_state, expected = self.twin.state(), self.emulated.state()
        names = {row.symbol: row.name for row in self.emulated.buffers}
        different = {
            names.get(symbol, symbol): _difference(native_state[symbol], bits, self.integers.get(symbol, "float32"))
            for symbol, bits in expected.items()
        }
        differences = [f"{name} in {difference}" for name, difference in different.items() if difference]
        if not np.array_equal(loss, emulated_loss, equal_nan=True):
            differences.insert(0, f"its loss is {loss:.9g}, emulated {emulated_loss:.9g}")
        if differences:
            begun_emulated = self.emulated_steps - self.verified_steps
            raise self._unequal(f"step {begun_emulated + self.native_steps}", differences)

    def _verify_batch(self, which: str, made: np.ndarray, inputs: np.ndarray) -> None:
        difference = _difference(made.tobytes(), self.emulated.outputs(inputs).tobytes())
        self.verified_batches += 1
        if difference:
            raise self._unequal(f"the {which} batch of samples", [f"outputs in {difference}"])

    def _unequal(self, where: str, told: list[str]) -> InternalError:
        words = ", ".join(told[:3]) + f" and {len(told) - 3} more" * (len(told) > 3)
        return InternalError(
            f"{where}, run natively, differs from the emulated core's: {words}",
            f"--engine emulated needs no twin; this is a bug of the workbench or of {self.compiler}",
        )


class Outlook:
    """How long the rest will take, by the mean time so far without the first, in which Unicorn translates."""

    def __init__(self, left: int):
        self.left, self.done, self.spent = left, 0, 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Time one of them: the body of the with statement."""
        begin = time.perf_counter()
        yield
        self.left -= 1
        self.done += 1
        self.spent += time.perf_counter() - begin if self.done > 1 else 0

    @property
    def seconds(self) -> float:
        """Expected for what is left; 0 as long as too little was done to tell."""
        return self.left * self.spent / (self.done - 1) if self.spent >= KNOWN else 0.0


def _difference(found: bytes, expected: bytes, dtype: str = "float32") -> str | None:
    """'3 of 54 values'; None where all bits are equal, or both are no number."""
    if found == expected:
        return None
    ours, theirs = (np.frombuffer(bits, dtype) for bits in (found, expected))
    same_bits = ours.view(f"u{ours.itemsize}") == theirs.view(f"u{ours.itemsize}")
    equal = same_bits | (np.isnan(ours) & np.isnan(theirs))
    return None if equal.all() else f"{np.sum(~equal):,} of {len(equal):,} values"
