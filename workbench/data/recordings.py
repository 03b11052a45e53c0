"""Recordings, (channels, values) each: a .wav, or a .csv with a column a channel; whole, or cut into windows.

one recording   ┌──── window ────┐                       hop: from the begin of one window to that of the next;
                └─ hop ─┌──── window ────┐               a rest at the end that fills no window is left out
"""

import io
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench import files
from workbench.data.samples import Reading, require_few
from workbench.data.tables import read_channels
from workbench.errors import DataError
from workbench.plain import printable

MOST = 1 << 30  # bytes of one file
PCM = 1


def read_recordings(
    source: str, paths: Sequence[Path], reading: Reading, length: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """All pieces, (n, channels, values), and for each the number of its recording.

    `length`: the values a channel that the network takes; None where its shape does not say.
    """
    pieces: list[np.ndarray] = []
    groups: list[int] = []
    rates: dict[int | None, str] = {}
    channels, values = None, 0
    for number, path in enumerate(paths):
        name = printable(str(path))
        sound, rate = read_wav(path) if path.suffix.lower() == ".wav" else (read_channels(path), None)
        rates.setdefault(rate, name)
        channels = channels or len(sound)
        if len(sound) != channels:
            raise DataError(f"{name} has {len(sound)} channel{'s' * (len(sound) > 1)}; the ones before have {channels}")
        if len(rates) > 1:
            rates_of_files = " and ".join(f"{name} {rate} Hz" for rate, name in rates.items())
            raise DataError(f"{source}: recordings of different rates: {rates_of_files}", "bring all to one rate")
        if not reading.window and pieces and sound.shape[1] != pieces[0].shape[1]:
            raise DataError(f"{name} has {sound.shape[1]} values; the ones before have {pieces[0].shape[1]}",
                            f"--window {length or 'N'} cuts them into pieces of one length")  # fmt: skip
        if reading.window and sound.shape[1] < reading.window:
            raise DataError(f"{name} has {sound.shape[1]} values, less than a window of {reading.window}",
                            f"--window {sound.shape[1]} or less, or leave it out")  # fmt: skip
        cut = windows(sound, reading.window, reading.hop) if reading.window else [sound]
        values += sum(piece.size for piece in cut)
        require_few(source, values)
        pieces += cut
        groups += [number] * len(cut)
    return np.stack(pieces).astype(np.float32), np.array(groups)


def windows(recording: np.ndarray, window: int, hop: int | None) -> list[np.ndarray]:
    """Pieces (channels, window), one every `hop` values (None: one behind the other)."""
    starts = range(0, recording.shape[1] - window + 1, hop or window)
    return [recording[:, start : start + window] for start in starts]


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """(channels, values) in [-1, 1) of 8 to 32-bit PCM, and the rate in Hz."""
    name = printable(str(path))
    try:
        content = files.read(path, MOST)
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, count, *_ = file.getparams()
            stored = file.readframes(min(count, len(content)))
    except wave.Error as error:
        raise DataError(f"{name} is no .wav of PCM: {error}", "save it as 8, 16, 24 or 32-bit PCM") from None
    except (EOFError, struct.error):
        raise DataError(f"{name} is no whole .wav: it ends too soon") from None
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from None
    if not 1 <= width <= 4:
        raise DataError(f"{name} has {8 * width}-bit values", "save it as 8, 16, 24 or 32-bit PCM")
    if len(stored) != count * channels * width:
        there = len(stored) // (channels * width)
        raise DataError(f"{name} is cut short: it claims {count} values, {there} are there")
    if count == 0:
        raise DataError(f"{name} is empty: it holds no sound")
    return _floats(stored, width).reshape(-1, channels).T, rate


def _floats(stored: bytes, width: int) -> np.ndarray:
    if width == 1:
        return (np.frombuffer(stored, np.uint8).astype(np.float32) - 128) / 128
    wide = np.zeros((len(stored) // width, 4), np.uint8)  # little-endian, its own bytes highest
    wide[:, 4 - width :] = np.frombuffer(stored, np.uint8).reshape(-1, width)
    return (wide.view("<i4").reshape(-1) / np.float64(1 << 31)).astype(np.float32)
