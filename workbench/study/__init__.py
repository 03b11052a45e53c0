"""Many runs of one network, measured side by side."""

from workbench.study.compare import Cell, Comparison, Outcome, cells, compare

__all__ = ["Cell", "Comparison", "Outcome", "cells", "compare"]
