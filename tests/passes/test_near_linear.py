"""Twice as many layers take hardly more than twice the work. Counted are Python calls: no busy machine changes them."""

from cProfile import Profile
from pstats import Stats

from workbench import session
from workbench.frontends.layers import Network
from workbench.passes import regions

MOST = 2.9  # times as much for twice the layers; quadratic is 4


def residuals(layers: int):
    """Convolutions with a way around every other one, a chain of ever the same size."""
    net = Network(f"chain-{layers}", (1, 2, 4, 4))
    x = net.input
    for index in range(layers):
        y = net.relu(net.conv2d(x, f"conv{index}", 2, 3, padding=1), f"conv{index}")
        x = net.add(x, y, f"add{index}") if index % 2 else y
    return net.model(net.dense(net.flatten(x), "fc", 3))


def calls(layers: int) -> int:
    model, profile = residuals(layers), Profile()
    profile.runcall(session.compile, model, "full", "optimized")
    return Stats(profile).total_calls


def test_compiling_is_near_linear_in_the_number_of_layers(monkeypatch):
    monkeypatch.setattr(regions, "LONGEST", 5)  # shorter regions: less to count, and it grows alike
    session.compile(residuals(2), "full", "optimized")  # what is imported or compiled once
    few, many = calls(40), calls(80)
    assert many / few <= MOST, f"{few} calls for 40 layers, {many} for 80"
