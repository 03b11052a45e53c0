"""Own data on the emulated board beside torch: same weights to begin with, same samples in the same order, same rates.

    python tests/benchmarks/own_data.py

Four small networks of the layer API on real data that packages bring, three seeds each: images (scikit-learn's digits
as an .npz), recordings (aeon's BasicMotions, six channels), a table (scikit-learn's wine as a .csv), and an
autoencoder of digits. Torch computes in double precision: in single precision one of its runs leaves the true course
(digits, seed 0, from step 205 on), which the board's stays on. Needs torch and aeon beside the tests' packages.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from aeon.datasets import load_basic_motions
from sklearn.datasets import load_digits, load_wine
from torch.nn import functional as F  # noqa: N812

import workbench
from workbench.data import batches
from workbench.feeding import Training, with_data
from workbench.frontends.layers import Network

SEEDS = range(3)


def images(seed):
    net = Network("images", (4, 1, 8, 8), seed)
    x = net.relu(net.conv2d(net.input, "conv1", 8, 3, padding=1), "conv1")
    x = net.max_pool2d(x, "pool", 2)
    x = net.relu(net.conv2d(x, "conv2", 16, 3, padding=1), "conv2")
    return net.model(net.dense(net.flatten(x), "fc", 10))


def images_in_torch(x, w):
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], padding=1)), 2)
    x = F.relu(F.conv2d(x, w["conv2.weight"], w["conv2.bias"], padding=1))
    return F.linear(x.flatten(1), w["fc.weight"], w["fc.bias"])


def recordings(seed):
    net = Network("recordings", (4, 6, 1, 100), seed)
    x = net.relu(net.conv2d(net.input, "conv1", 12, (1, 5), stride=(1, 2)), "conv1")
    x = net.relu(net.conv2d(x, "conv2", 16, (1, 5), stride=(1, 2)), "conv2")
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "fc", 4))


def recordings_in_torch(x, w):
    x = F.relu(F.conv2d(x, w["conv1.weight"], w["conv1.bias"], stride=(1, 2)))
    x = F.relu(F.conv2d(x, w["conv2.weight"], w["conv2.bias"], stride=(1, 2)))
    return F.linear(x.mean((2, 3)), w["fc.weight"], w["fc.bias"])


def table(seed):
    net = Network("table", (4, 13), seed)
    return net.model(net.dense(net.relu(net.dense(net.input, "fc1", 16), "fc1"), "fc2", 3))


def table_in_torch(x, w):
    return F.linear(F.relu(F.linear(x, w["fc1.weight"], w["fc1.bias"])), w["fc2.weight"], w["fc2.bias"])


def mirror(seed):
    net = Network("mirror", (4, 64), seed)
    x = net.relu(net.dense(net.input, "narrow", 16), "narrow")
    return net.model(net.dense(x, "wide", 64))


def mirror_in_torch(x, w):
    return F.linear(F.relu(F.linear(x, w["narrow.weight"], w["narrow.bias"])), w["wide.weight"], w["wide.bias"])


def cases(folder: Path):
    """name, network, the same in torch, data, and how it is trained."""
    pixels, digits = load_digits(return_X_y=True)
    np.savez(folder / "digits.npz", x=pixels.astype(np.uint8).reshape(-1, 8, 8), y=digits)
    features, wines = load_wine(return_X_y=True)
    np.savetxt(folder / "wine.csv", np.column_stack([features, wines]), delimiter=",", fmt="%g")
    moves, kinds = load_basic_motions()
    return [
        ("images", images, images_in_torch, str(folder / "digits.npz"), {"epochs": 3, "lr": 0.05}),
        ("recordings", recordings, recordings_in_torch, (moves.astype(np.float32), kinds),
         {"epochs": 30, "lr": 0.05, "normalize": "standard"}),
        ("table", table, table_in_torch, str(folder / "wine.csv"), {"epochs": 20, "lr": 0.02, "normalize": "standard"}),
        ("mirror", mirror, mirror_in_torch, pixels, {"epochs": 3, "lr": 0.5, "normalize": "unit"}),
    ]  # fmt: skip


def beside(make, forward, data, how, seed):
    """Held-out figures, (accuracy or None, loss): on the emulated board, and in torch."""
    model = make(seed)
    run = workbench.run(model, data=data, seed=seed, trace="off", **how)
    samples = with_data(model, Training(steps=None, data=data, seed=seed, **how))[1].data
    w = {name: torch.tensor(values, dtype=torch.float64, requires_grad=True) for name, values in model.weights.items()}
    optimizer = torch.optim.SGD(w.values(), lr=how["lr"])
    told_anew = samples.target == "input"

    def loss_of(x, y):
        x = torch.tensor(x, dtype=torch.float64)
        out = forward(x, w)
        return out, F.mse_loss(out, x) if told_anew else F.cross_entropy(out, torch.tensor(y).long())

    for epoch, chosen in batches(len(samples.train_x), model.batch, seed):
        if epoch == how["epochs"]:
            break
        optimizer.zero_grad()
        loss_of(samples.train_x[chosen], samples.train_y[chosen])[1].backward()
        optimizer.step()
    with torch.no_grad():
        out, loss = loss_of(samples.test_x, samples.test_y)
    right = None if told_anew else float((out.argmax(1).numpy() == samples.test_y).mean())
    accuracy = run.meta["accuracy"] and run.meta["accuracy"]["after"]
    return (accuracy, run.meta["held_out_loss"]["after"]), (right, float(loss))


def main():
    percent = lambda share: "     –" if share is None else f"{100 * share:5.1f}%"  # noqa: E731
    print("network     seed  accuracy: board  torch   held-out loss: board    torch")
    with tempfile.TemporaryDirectory() as name:
        for title, make, forward, data, how in cases(Path(name)):
            for seed in SEEDS:
                board, host = beside(make, forward, data, how, seed)
                print(
                    f"{title:<12}{seed:>3}{percent(board[0]):>16} {percent(host[0])}{board[1]:>23.6f}{host[1]:>10.6f}"
                )


if __name__ == "__main__":
    main()
