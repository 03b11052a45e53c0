"""Twice as many layers take hardly more than twice the work. Counted are Python calls: no busy machine changes them;
the CPU's seconds, which what is compiled spends too, are measured where there is time for it.
"""

from cProfile import Profile
from pstats import Stats
from time import process_time

import pytest

from workbench import session
from workbench.frontends.layers import Network
from workbench.schedule import search

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
    monkeypatch.setattr(search, "LONGEST", 5)  # shorter regions: less to count, and it grows alike
    session.compile(residuals(2), "full", "optimized")  # what is imported or compiled once
    few, many = calls(40), calls(80)
    assert many / few <= MOST, f"{few} calls for 40 layers, {many} for 80"


def convolutions(layers: int):
    """A chain of convolutions, each with its ReLU."""
    net = Network(f"chain-{layers}", (1, 3, 16, 16))
    x = net.input
    for index in range(layers):
        x = net.relu(net.conv2d(x, f"conv{index}", 8, 3, padding=1), f"conv{index}")
    return net.model(net.dense(net.global_avg_pool2d(x, "mean"), "fc", 10))


def cpu_seconds(layers: int) -> float:
    model, start = convolutions(layers), process_time()
    session.compile(model, "full", "optimized")
    return process_time() - start


@pytest.mark.long
def test_cpu_seconds_of_compiling_are_near_linear_with_regions_as_they_are():
    """Of a few runs the fastest: others of the machine only make one slower."""
    cpu_seconds(2)
    few, many = (min(cpu_seconds(layers) for _ in range(2)) for layers in (80, 160))
    assert many / few <= MOST, f"{few:.2f} s for 80 layers, {many:.2f} s for 160"
