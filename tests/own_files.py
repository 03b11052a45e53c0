"""The same samples in every form in which data can be given, and a network that takes them."""

import wave

import numpy as np
from PIL import Image

from workbench.data import Network, Reading, resolved
from workbench.ir.types import TensorType

Y = np.arange(24) % 3


class Dataset:
    """What torch calls a map-style data set."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, at):
        if not 0 <= at < len(self):
            raise IndexError
        return self.x[at], int(self.y[at])


def batches(x, y, size=7):
    """A generator: it can be read once."""
    for begin in range(0, len(x), size):
        yield x[begin : begin + size], y[begin : begin + size]


def write_csv(path, x, y, header="", separator=","):
    rows = [separator.join(map(str, [*row.reshape(-1).tolist(), label])) for row, label in zip(x, y, strict=True)]
    path.write_text("\n".join([*([header] if header else []), *rows]) + "\n")
    return path


def write_images(folder, x, y, ending="png"):
    """x (n, rows, columns) or (n, rows, columns, 3), of bytes; y are the classes' names."""
    for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / str(label) / f"{number}.{ending}")
    return folder


def write_wav(path, values, width=2, rate=8000):
    """`values` (channels, n) in [-1, 1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.rint(np.asarray(values).T * 2 ** (8 * width - 1)).astype("<i4")
    stored = (whole + 128).astype(np.uint8) if width == 1 else whole.reshape(-1, 1).view(np.uint8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(values))
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(stored.tobytes())
    return path


def network(shape=(1, 4, 4), outputs=(3,), nhwc=False, **kind):
    return Network("net", TensorType((2, *shape), **kind), outputs, nhwc)


def parts(data):
    """x and y of both parts."""
    return np.concatenate([data.train_x, data.test_x]), np.concatenate([data.train_y, data.test_y])


def as_given(x, network, **how):
    """The data in the order in which it was given: in parts already."""
    return resolved((x[:20], Y[:20], x[20:], Y[20:]), network, Reading(**{"normalize": "none", **how}))
