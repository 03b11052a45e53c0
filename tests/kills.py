"""Kill commands at their file-system events, and ask `report` what is there: a JSON object a kill on stdout.

    python kills.py EVERY VERB …      in an empty folder; EVERY 1: at every event

What is killed is a fork of a process that has trained everything before, so that a kill costs a fraction of a second:
what it does to the file system is the command's own. Each kill is tried where nothing was there, and where an earlier
run was; each of them as it is, and with only half of the file written that was opened for writing just before. With
EVERY above 1 these four take turns.
"""

import contextlib
import gc
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

from workbench import session
from workbench.cli import demo, main
from workbench.report import comparison, lifecycle, seeds_figure
from workbench.report.figure import Picture
from workbench.study import compare

# Event -> which of its arguments is the descriptor of the folder.
CHANGES = {"os.mkdir": 2, "os.rename": 2, "os.remove": 1, "os.rmdir": 1}
COMMANDS = {
    "run": ["run", "mlp", "--policy", "last-1", "--steps", "2", "--trace", "off", "--save-weights", "w.npz", "--force"],
    "lifecycle": ["lifecycle", "mlp", "--policy", "last-1", "--schedules", "vanilla,reordered"],
    "compare": ["compare", "mlp", "--policies", "last-1", "--schedules", "vanilla,reordered", "--steps", "2"],
    "seeds": ["run", "mlp", "--policy", "last-1", "--seeds", "2", "--steps", "2", "--trace", "off"],
    "build": ["build", "mlp", "--policy", "last-1"],
    "demo": ["demo"],
}
EARLIER, LATER = 0, 1  # seeds
MINE = "it's mine.txt"


class Killer:
    """An audit hook that counts the events that change the current folder; at number `at` the process kills itself.

    `half`: with half of the file that was opened for writing in the event before.
    """

    def __init__(self, at: int | None = None, half: bool = False):
        self.root, self.at, self.half, self.count, self.opened = os.getcwd(), at, half, 0, None
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        path = self._changed(event, arguments)
        if path is None:
            return
        if self.count == self.at:
            self.at = None  # what follows is an event, too
            if self.half and self.opened and os.path.isfile(self.opened):
                os.truncate(self.opened, os.path.getsize(self.opened) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        self.opened = path if event == "open" else None

    def _changed(self, event, arguments) -> str | None:
        """The path that an event changes, if it is one in the current folder."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return None
            folder = -1
        elif event in CHANGES:
            path, folder = arguments[0], arguments[CHANGES[event]]
        else:
            return None
        base = self.root if folder == -1 else os.readlink(f"/proc/self/fd/{folder}")
        path = os.path.normpath(os.path.join(base, os.fsdecode(path)))
        return path if path.startswith(f"{self.root}/") else None


def in_fork(function) -> tuple[int, str, str]:
    """Exit code, negative for a signal, stdout and stderr of a fork that calls this."""
    if not (child := os.fork()):
        with (
            open("stdout", "w") as out,
            open("stderr", "w") as err,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = function()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, Path("stdout").read_text(), Path("stderr").read_text()


def quicken() -> None:
    """Train each firmware once; draw nothing; run a comparison's cells in this process."""
    trained, train = {}, session.train

    def train_once(built, options, *_, like=None):
        key = built.image.content, built.compiled.schedule, str(replace(options, data=None))
        if key not in trained:
            trained[key] = train(built, options, like=like)
            dict(trained[key][0].profiled)  # made once, not by each fork that saves it
        run, weights = trained[key]
        run.meta["artifacts"] = {}
        return run, weights

    session.train = train_once
    Picture.savefig = lambda self, path, **_: Path(path).write_bytes(b"a picture")
    lifecycle.lifecycle_figure = comparison.comparison_figure = seeds_figure.seeds_figure = lambda *_: Picture()
    compare.in_processes = lambda function, jobs, *_: ((index, function(job)) for index, job in enumerate(jobs))
    demo.MODEL, demo.EPOCHS = "mlp", 1


def command(verb: str, seed: int):
    """What runs it: its results differ by the seed."""
    demo.RATE = 0.02 / (1 + seed)
    return lambda: main([*COMMANDS[verb], *(["--seed", str(seed)] if verb != "demo" else [])])


def asked(place: Path) -> tuple[list, str]:
    """What `report` says of a place, with the ELF of each run; and its words on stderr."""
    code, out, err = in_fork(lambda: main(["report", str(place), "--json"]))
    if code:
        return [], err
    runs = json.loads(out)
    runs = runs if isinstance(runs, list) else runs.get("seeds", [runs])
    elfs = [Path(run["artifacts"]["elf"]).read_bytes().hex() for run in runs]
    listed = any((place / table).exists() for table in ("compare.csv", "seeds.csv"))
    missing = in_fork(lambda: main(["report", str(place)]))[1].partition("\nmissing\n")[2] if listed else ""
    return [*runs, *elfs], missing


def buildable(place: Path) -> tuple[list, str]:
    """The files of a project that `make` can build, which asks nobody; none without a Makefile."""
    if not (place / "Makefile").exists():
        return [], "interrupted"
    names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    seen = [name for name in names if not name.startswith((".", "files.json")) and not name.endswith(MINE)]
    return [(name, (place / name).read_text(errors="replace")) for name in seen], ""


def sweep(verb: str, every: int) -> None:
    tell, answers = buildable if verb == "build" else asked, {}
    for seed in (EARLIER, LATER):
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            assert command(verb, seed)() == 0  # in this process, which then has trained it
        (place,) = Path("out").iterdir()
        shutil.copytree(place, f"seed-{seed}")
        answers[seed] = tell(place)[0]
    assert answers[EARLIER] != answers[LATER] and all(answers.values())
    gc.freeze()
    ways = [(False, False), (True, False), (False, True), (True, True)]
    start(place, True)
    counted = in_fork(lambda: [killer := Killer(), command(verb, LATER)(), print(killer.count)][1])[1]
    for at in range(0, int(counted.split()[-1]), every):
        for before, half in ways if every == 1 else [ways[at // every % 4]]:
            start(place, before)
            code, *_ = in_fork(lambda at=at, half=half: [Killer(at, half), command(verb, LATER)()][1])
            if code == 0 and not before:
                continue  # it has fewer events then
            assert code == -signal.SIGKILL, (verb, at, code)
            answer, words = tell(place)
            row = {"verb": verb, "before": before, "at": at, "half": half, "told": verdict(answer, words, answers)}
            if not half:  # whoever comes next finds nothing in the way
                row["again"] = in_fork(command(verb, LATER))[0] == 0 and tell(place)[0] == answers[LATER]
                row["left"] = [path.name for path in place.glob(".*")]
            row["kept"] = all((folder / MINE).exists() for folder in (place, place / "firmware"))
            print(json.dumps(row), flush=True)
    for folder in ("out", f"seed-{EARLIER}", f"seed-{LATER}"):
        shutil.rmtree(folder)


def verdict(answer: list, words: str, answers: dict[int, list]) -> str:
    """What an answer of `report` is: 'old', 'new', 'interrupted', 'new, the rest interrupted', or something wrong."""
    if answer in answers.values() and not words:
        return "old" if answer == answers[EARLIER] else "new"
    if not answer and ("interrupted" in words or "no complete run: run.json is missing" in words):
        return "interrupted"
    if answer and all(part in answers[LATER] for part in answer) and ": interrupted\n" in words:
        return "new, the rest interrupted"
    return f"wrong: {words or answer}"


def start(place: Path, before: bool) -> None:
    """As it is before the command: nothing, or an earlier run; and somebody's own files."""
    shutil.rmtree(place, ignore_errors=True)
    Path("w.npz").unlink(missing_ok=True)
    if before:
        shutil.copytree(f"seed-{EARLIER}", place)
    (place / "firmware").mkdir(parents=True, exist_ok=True)
    for folder in (place, place / "firmware"):
        (folder / MINE).write_text("mine")


if __name__ == "__main__":
    quicken()
    for each in sys.argv[2:]:
        sweep(each, int(sys.argv[1]))
