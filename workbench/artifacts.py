"""What the stages hand on: a compiled training step, its firmware image, and both together.

model, policy ── compile ──► Compiled ── generate, make ──► Image        Built = Compiled + Project + Image
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench.boards import Board
from workbench.codegen import Project
from workbench.frontends import Model
from workbench.ir.graph import Graph
from workbench.objective import CLASSIFY, Objective
from workbench.passes.permute_channels import Orders
from workbench.passes.pipeline import Applied
from workbench.plan.memory import MemoryPlan
from workbench.policy import Optimizer, UpdatePolicy
from workbench.schedule.tuned import BY_RULE, Tuned
from workbench.units import size


@dataclass(frozen=True, repr=False)
class Compiled:
    """A network's training step: the scheduled graph, its memory plan, what each pass did, and the seconds it took.

    `weights` are the graph's parameters as they are compiled: channels in the order that `orders` tells, constants
    folded. `kept`: it was read from the cache, and what each pass took is what it took then.
    """

    model: Model
    policy: UpdatePolicy
    optimizer: Optimizer
    schedule: str
    graph: Graph
    memory: MemoryPlan
    passes: tuple[Applied, ...]
    weights: Mapping[str, np.ndarray]
    orders: Orders
    seconds: float
    objective: Objective = CLASSIFY
    kept: bool = False

    def __repr__(self) -> str:
        words = [f"{self.model.name} {self.policy.name} {self.schedule}", f"{len(self.graph.nodes)} nodes"]
        return f"<Compiled {' · '.join([*words, f'arena {size(self.memory.plan.bytes)}'])}>"


@dataclass(frozen=True)
class Image:
    """A linked firmware. Sizes in bytes; `stack_reserve` is the deepest call chain by gcc's own stack figures.

    `content` is the ELF, `elf` where it was installed, if it was. `board` is the one it was linked for: where the real
    one is too small, its virtual twin.
    """

    content: bytes = field(repr=False)
    board: Board
    flash: int
    static: int
    stack_reserve: int
    elf: Path = Path("firmware.elf")


@dataclass(frozen=True, repr=False)
class Built:
    """A compiled network as firmware: `board` is the one asked for, `image.board` the one it was linked for, `tuned`
    what its kernels' schedules were looked up in."""

    compiled: Compiled
    board: Board
    project: Project
    image: Image
    seconds: float
    tuned: Tuned = BY_RULE

    def __repr__(self) -> str:
        return f"<Built {repr(self.compiled)[10:-1]} · {self.board.name} · flash {size(self.image.flash)}>"
