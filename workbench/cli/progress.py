"""What a command is at, on stderr while it lasts: a line that goes away on a terminal, plain lines anywhere else.

Plain lines begin once a command has taken PATIENCE seconds (quicker ones say nothing): one a stage, or a cell of a
comparison, and one every EVERY seconds of training. --quiet silences all of it.

    mcunet-5fps sparse-49kb vanilla: compiling
    mcunet-5fps sparse-49kb vanilla: training
    mcunet-5fps sparse-49kb vanilla: step 12 of 50, loss 1.37
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from workbench import units
from workbench.plain import printable

PATIENCE, EVERY = 3.0, 10.0  # seconds


def tell(args, text: str) -> None:
    """A line about what has begun or is done; nothing yet where that is no terminal and the command is young."""
    if not args.quiet and (sys.stderr.isatty() or _young(args) <= 0):
        _print(text)


@contextmanager
def stage(args, text: str) -> Iterator[None]:
    """Say `text` while the block runs: at once on a terminal, else when the wait has become long."""
    if args.quiet:
        yield
        return
    if sys.stderr.isatty():
        with _bar(desc=text, bar_format="{desc} …"):
            yield
        return
    if (wait := _young(args)) <= 0:
        _print(text)
        yield
        return
    timer = Timer(wait, _print, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def steps(args, label: str) -> Iterator[Callable[[int, int, float], None]]:
    """A callback for training that tells step and loss."""
    if not args.quiet and sys.stderr.isatty():
        with _bar(desc=label, unit=" steps") as bar:

            def draw(done: int, steps: int, loss: float) -> None:
                bar.total = steps
                bar.set_postfix_str(f"loss {units.loss(loss)}", refresh=False)
                bar.update(done - bar.n)

            yield draw
        return
    with stage(args, f"{label}: training"):
        last = time.monotonic()

        def line(done: int, steps: int, loss: float) -> None:
            nonlocal last
            if time.monotonic() - last >= EVERY and done < steps:
                last = time.monotonic()
                tell(args, f"{label}: step {done} of {steps}, loss {units.loss(loss)}")

        yield line


@contextmanager
def counted(args, text: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A callback for what counts up to an end that it tells as well."""
    if not args.quiet and sys.stderr.isatty():
        with _bar(desc=text, unit=f" {unit}") as bar:

            def draw(done: int, all_of_them: int) -> None:
                bar.total = all_of_them
                bar.update(done - bar.n)

            yield draw
        return
    with stage(args, text):
        last = time.monotonic()

        def line(done: int, all_of_them: int) -> None:
            nonlocal last
            if time.monotonic() - last >= EVERY and done < all_of_them:
                last = time.monotonic()
                tell(args, f"{text}: {done} of {all_of_them} {unit}")

        yield line


def _young(args) -> float:
    """Seconds until the command has taken long enough to be told about."""
    return args.started + PATIENCE - time.monotonic()


def _bar(desc: str, **how):
    from tqdm import tqdm

    file = getattr(sys.stderr, "raw", sys.stderr)  # a bar moves the cursor
    return tqdm(desc=printable(desc), file=file, leave=False, mininterval=0.2, **how)


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
