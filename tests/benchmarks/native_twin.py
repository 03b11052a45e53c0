"""How much quicker the twin trains than the emulated core: both on the same steps, taken in turn, by network.

    python tests/benchmarks/native_twin.py [NETWORK …]

Milliseconds are the thread's own (of the quickest step: others may use the machine); `build` is what compiling the twin
took, nothing from the cache.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from workbench import boards, native, session
from workbench.emulate.device import Device
from workbench.feeding import Training, first_steps
from workbench.frontends import load, names
from workbench.training import device_of

LARGE = ("mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3")  # quantized already
EVERY = [
    name for network in names() for name in (network, f"{network}-int8") if name.removesuffix("-int8") not in LARGE
]


def measured(name: str) -> tuple[float, float, float]:
    """Seconds to build the twin; milliseconds of an emulated and of a native step. Losses must be equal to the bit."""
    model = load(name)
    built = session.build(session.compile(model, "full"), boards.get("nrf52840"))
    like = built.compiled.graph.types[model.graph.inputs[0]]
    with tempfile.TemporaryDirectory() as empty, patch.dict("os.environ", WORKBENCH_CACHE=empty):
        begin = time.perf_counter()
        library = native.library(built.project.files)
        seconds = time.perf_counter() - begin
    twin = Device(native.Host(library), list(built.project.buffers), list(built.project.ops),
                  like.stored if like.layout else np.ravel)  # fmt: skip
    emulated, count = device_of(built), 4 if model.macs > 10**6 else 30
    took = {emulated: [], twin: []}
    for step in first_steps(replace(model, data=None), Training(steps=count), 1, count):
        losses = []
        for device, times in took.items():
            begin = time.thread_time()
            losses.append(step.run(device))
            times.append(1000 * (time.thread_time() - begin))
        assert losses[0] == losses[1], name
    for device in took:
        device.machine.close()
    return seconds, min(took[emulated]), min(took[twin])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=[*EVERY, *LARGE])
    print(f"{'network':<20}{'build':>8}{'emulated':>12}{'native':>12}{'':>8}   {native.called(native.host_compiler())}")
    for network in parser.parse_args().networks:
        seconds, slow, quick = measured(network)
        print(f"{network:<20}{seconds:6.1f} s{slow:9.3f} ms{quick:9.3f} ms{slow / quick:7.1f}×", flush=True)
