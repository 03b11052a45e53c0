"""Graph to graph: what a policy marks, and what makes a training step smaller. One file a pass."""
