"""The MLPerf autoencoder learns how another machine sounds: held-out error before and after, and SRAM as measured.

    .venv/bin/python tests/benchmarks/autoencoder.py FOLDER/ad01_int8.tflite FOLDER/ad01_fp32.tflite --steps 400

It was trained on toy cars. The sound here is made: a motor under a load that changes (a harmonic series), a fan (noise
through a resonance) and a floor of noise, from fixed seeds; features as in MLPerf Tiny: 128 log-mel bands of 1,024
samples, five frames in a row. A sample a step; the loss is the mean squared error, in dB², of the input told anew.
Minutes.
"""

import argparse

import numpy as np
import pandas as pd

import workbench
from workbench.data import Data
from workbench.objective import INPUT

RATE, WINDOW, HOP, BANDS, FRAMES = 16_000, 1024, 512, 128, 5


def sound(seconds: float, seed: int) -> np.ndarray:
    """A machine, in [-1, 1]."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    load = np.interp(
        np.arange(count), RATE * np.arange(-(-count // RATE) + 1), rng.uniform(-1, 1, -(-count // RATE) + 1)
    )
    phase = np.cumsum(2 * np.pi * (87 - 4 * load) / RATE)
    motor = sum(np.sin(k * phase + rng.uniform(0, 6)) / k**1.2 for k in range(1, 24))
    impulse = np.exp(-np.arange(400) / 60) * np.sin(2 * np.pi * 1800 * np.arange(400) / RATE)
    fan = np.convolve(rng.normal(size=count), impulse)[:count]
    return 0.04 * 10 ** (0.4 * load) * motor + 0.01 * 10 ** (-0.6 * load) * fan + 0.002 * rng.normal(size=count)


def mel_bands() -> np.ndarray:
    """(BANDS, WINDOW / 2 + 1): triangles evenly spaced on the mel scale."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def features(wave: np.ndarray) -> np.ndarray:
    """(samples, FRAMES · BANDS) in dB, float32."""
    starts = range(0, len(wave) - WINDOW + 1, HOP)
    frames = np.array([wave[at : at + WINDOW] * np.hanning(WINDOW) for at in starts])
    power = np.abs(np.fft.rfft(frames)) ** 2
    decibels = 10 * np.log10(power @ mel_bands().T + 1e-12)
    return np.lib.stride_tricks.sliding_window_view(decibels, FRAMES, axis=0).transpose(0, 2, 1).reshape(
        -1, FRAMES * BANDS
    ).astype(np.float32)  # fmt: skip


def data() -> Data:
    train, test = features(sound(20, seed=1)), features(sound(4, seed=2))
    none = [np.empty((len(x), 0), np.float32) for x in (train, test)]
    return Data("machine", train, none[0], test, none[1], None, target=INPUT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--policies", default="full,last-2,bias-only")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    rows = []
    for model in args.models:
        found = workbench.compare(
            model, args.policies.split(","), data=data(), steps=args.steps, lr=args.lr, jobs=args.jobs
        )
        for outcome in found.without_run:
            print(f"{outcome.cell}: {outcome.error}")
        for run in found.runs:
            held_out, memory = run.meta["held_out_loss"], run.meta["memory"]
            rows.append({key: run.meta[key] for key in ("model", "policy", "schedule")} | held_out | {
                "a guess": run.meta["guess"], "SRAM": memory["sram_peak"], "arena": memory["arena_touched"],
                "fits 256 KB": memory["fits"], "instructions": run.meta["instructions_per_step"],
            })  # fmt: skip
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
