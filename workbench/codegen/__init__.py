"""Graph + memory plan + weights -> a C project that builds by itself, with buffers.csv and ops.csv beside it."""

from workbench.codegen.project import Project, generate

__all__ = ["Project", "generate"]
