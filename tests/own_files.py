"""The same samples in every form in which data can be given."""

import wave

import numpy as np
from PIL import Image


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
