"""How a graph runs: which tiles a node can compute alone, cascades of such nodes, the search for them, and their C.

Importing the package registers the operator that runs a cascade, beside those of ops/, held against their kernels.
"""

from workbench import kernels  # noqa: F401
from workbench.schedule import region  # noqa: F401
