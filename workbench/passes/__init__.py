"""Graph to graph: what a policy marks, and what makes a training step smaller. One file a pass."""


class Declined(Exception):  # noqa: N818  a pass's way to say why it leaves the graph as it is
    """Raised by a pass that leaves the graph as it is, with the reason for people."""
