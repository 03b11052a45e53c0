"""Every byte of the arena gets its place: allocate, bound, validate; problems and solutions as plain CSV."""

from workbench.plan.allocate import allocate
from workbench.plan.problem import Buffer, Placed, Plan, lower_bound
from workbench.plan.validate import validate

__all__ = ["Buffer", "Placed", "Plan", "allocate", "lower_bound", "validate"]
