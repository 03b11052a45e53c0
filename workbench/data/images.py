"""Pictures in PNG or JPEG files, as (rows, columns, channels) of bytes: the only importer of Pillow."""

import io
import struct
import warnings
from collections import Counter
from collections.abc import Sequence
from math import isqrt
from pathlib import Path

import numpy as np

from workbench import files
from workbench.data.samples import require_few
from workbench.errors import DataError
from workbench.plain import printable

ENDINGS = (".png", ".jpg", ".jpeg")
MOST, MOST_PIXELS = 1 << 26, 1 << 24  # of one file, in bytes and, once read, in pixels
MODES = {1: "L", 3: "RGB"}
WORDS = {"L": "grey", "1": "black and white", "P": "a palette", "LA": "grey with alpha"}


def read_images(source: str, paths: Sequence[Path], shape: tuple[int, ...], resize: bool) -> tuple[np.ndarray, list]:
    """Images (n, rows, columns, channels) of bytes for a network whose input has this `shape`, and notes on changes.

    Grey for one channel, RGB for three; brought to the network's size if `resize`.
    """
    channels, size = _wanted(source, shape, paths)
    if resize and size is None:
        raise DataError(f"{source}: the network takes {shape[0]} values in a row: of which size an image is, is open",
                        "resize the images beforehand, or give (x, y)")  # fmt: skip
    converted: Counter[str] = Counter()
    resized: Counter[tuple[int, int]] = Counter()
    images: list[np.ndarray] = []
    for path in paths:
        image = _opened(path)
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{printable(str(path))} has {image.mode} pixels; of 8 bits each are read",
                            "give (x, y) for others")  # fmt: skip
        if resize and image.size != size:
            resized[image.size] += 1
        if not resize and images and image.size != (images[0].shape[1], images[0].shape[0]):
            others = images[0].shape
            raise DataError(f"{printable(str(path))} is {image.width}×{image.height}; the others are "
                            f"{others[1]}×{others[0]}", f"{_resizing(size)}resizes all of them")  # fmt: skip
        if not resize and size and image.size != size:
            raise DataError(f"{printable(str(path))} is {image.width}×{image.height}; the network takes "
                            f"{size[0]}×{size[1]}", f"{_resizing(size)}resizes all of them")  # fmt: skip
        converted[image.mode] += image.mode != MODES[channels]
        images.append(_pixels(path, image, MODES[channels], size if resize else None))
        require_few(source, len(images) * images[0].size)
    as_one = WORDS.get(MODES[channels], MODES[channels])
    notes = [f"{count} of {len(paths)} images were {WORDS.get(mode, mode)}, taken as {as_one}"
             for mode, count in converted.items() if count]  # fmt: skip
    if resized and size:
        notes.append(f"{resized.total()} of {len(paths)} images were resized to {size[0]}×{size[1]}")
    return np.stack(images), [f"{source}: {note}" for note in notes]


def _resizing(size) -> str:
    return "--resize " if size else "a tool that "


def _wanted(source: str, shape: tuple[int, ...], paths: Sequence[Path]) -> tuple[int, tuple[int, int] | None]:
    """Channels, and (columns, rows) wanted; for a dense network those of a square, or of the first image."""
    if len(shape) == 3:
        if shape[0] not in MODES:
            raise DataError(f"{source}: images have 1 channel or 3; the network takes {shape[0]}", "give (x, y)")
        return shape[0], (shape[2], shape[1])
    if len(shape) != 1:
        raise DataError(f"{source} holds images; the network takes {shape}", "give (x, y)")
    first = _opened(paths[0])
    for channels in MODES:
        if first.width * first.height * channels == shape[0]:
            return channels, first.size
    for channels in MODES:
        side = isqrt(shape[0] // channels)
        if side * side * channels == shape[0]:
            return channels, (side, side)
    return 1, None


def _opened(path: Path):
    """An opened image, of which only the header was read. Raises DataError for no image, or one too large."""
    from PIL import Image, UnidentifiedImageError

    name, bombs = printable(str(path)), (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        content = files.read(path, MOST)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    except UnidentifiedImageError:
        raise DataError(f"{name} is no PNG or JPEG picture", "leave it out, or save it anew") from None
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from None
    except (SyntaxError, ValueError, EOFError, struct.error, *bombs) as error:
        raise DataError(f"{name} is damaged: {error}") from None
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{name} is {image.width}×{image.height}, more than a picture to learn from has")
    return image


def _pixels(path: Path, image, mode: str, size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image

    try:
        image = image if image.mode == mode else image.convert(mode)
        image = image if size in (None, image.size) else image.resize(size, Image.Resampling.BILINEAR)
        pixels = np.asarray(image, np.uint8)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(f"{printable(str(path))} is damaged: {error}") from None
    return pixels if pixels.ndim == 3 else pixels[..., None]
