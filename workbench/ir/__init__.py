"""The graph IR: types, graphs, the operator registry, and what can be asked of a graph."""
