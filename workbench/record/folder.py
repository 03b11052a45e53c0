"""A folder of results holds the old ones or the new ones, whoever else writes it and whenever a process is killed.

    out/mlp-full-nrf52840/
        .filling-k3x9/    private: a process fills it, and holds its lock as long as it lives
        .filled/          complete: from its renaming on the new results count; its files are on their way into place
        run.json …        the results: the files that a manifest names; all other files are not ours, and stay

A manifest is run.json, or files.json where something else than one run was written. After a killed process the next
reader or writer tidies up: it moves into place the rest of `.filled`, and each `.filling-…` that has a manifest; a
writer removes the `.filling-…` without one. The folder itself is never moved: it may be a link, a mount, or the current
folder of some process.

A folder with a file of HEADS looks complete. These files are removed first and come last, so that in between not even
`make` or a file manager takes the folder for complete.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from workbench.errors import RecordError, naming
from workbench.files import MB, read_json
from workbench.plain import printable

FILLING, FILLED, REPLACED = ".filling-", ".filled", ".replaced"
LARGEST_MANIFEST = 32 * MB
RUN, PROFILE, FILES = "run.json", "profile.json", "files.json"
SEEDS = "seeds.csv"
LISTS = ("compare.csv", "ablation.csv", SEEDS)  # of the runs in a folder
HEADS = (RUN, PROFILE, FILES, *LISTS, "Makefile")


@contextmanager
def filling(place: str | Path) -> Iterator[Path]:
    """A private folder to write into; its files then replace those that were written into `place` before.

    After an exception they are thrown away, unless there is a manifest (see `checkpoint`). A run replaces a run;
    anything else replaces all that was written. A `place` inside a folder that is being filled is given as it is.
    """
    place = Path(place)
    if _root(place):
        place.mkdir(parents=True, exist_ok=True)
        yield place
        return
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    part, lock = _begun(place)
    try:
        try:
            with naming(place):
                yield part
            if not (part / RUN).exists():
                checkpoint(part)
        finally:
            with _locked(place):
                _finish(place)
                _commit(part, place)
    finally:
        os.close(lock)
        for folder in missing:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def checkpoint(folder: Path) -> None:
    """Make safe what now lies in a folder that is being filled: neither a kill nor an exception loses it."""
    part = _root(folder)
    if part is None:
        raise RecordError(f"{printable(str(folder))} is no folder that is being filled")
    write_at_once(part / FILES, json.dumps({"files": dict.fromkeys(_visible(part))}))


@contextmanager
def settled(place: str | Path) -> Iterator[None]:
    """Keep writers from changing `place` meanwhile; what a killed one left complete is moved into place first."""
    if not Path(place).is_dir():
        yield
        return
    with _locked(Path(place)):
        _finish(Path(place))
        yield


def free(place: str | Path) -> bool:
    """Whether a folder is empty, apart from what killed processes left incomplete."""
    with settled(place):
        leftovers = _fillings(place, dead=True)
        return all(path in leftovers for path in Path(place).iterdir())


def unfinished(place: str | Path) -> str | None:
    """What to say of results that are not there: 'under way', 'interrupted', or None where nothing is known."""
    if _fillings(place, dead=False):
        return "under way"
    return "interrupted" if _fillings(place, dead=True) or (Path(place) / FILLED).exists() else None


def place_of(path: Path) -> Path:
    """Where a path inside a folder that is being filled will be in the end."""
    root = _root(path)
    return root.parent / path.relative_to(root) if root else path


def manifest(folder: str | Path, name: str = FILES) -> dict[str, str]:
    """The files that were written together, with their SHA-256; empty where there is no readable manifest."""
    try:
        files = read_json(Path(folder) / name, LARGEST_MANIFEST)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def digests(folder: Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """Name -> SHA-256 of these files of a folder; None: of all but hidden ones."""
    names = _visible(folder) if names is None else names
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A file to write, which then replaces `path` atomically; a device, or /dev/stdout, is written directly."""
    path = Path(path)
    if (path.exists() and not path.is_file()) or not os.access(path.parent, os.W_OK):
        yield path
        return
    path = path.resolve()  # a link stays: its target is replaced
    part = path.with_name(f".{os.getpid()}-{path.name}")  # the same ending: matplotlib goes by it
    try:
        yield part
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_at_once(path: str | Path, content: str | bytes) -> None:
    """Write a file so that a reader finds the old one or the new one."""
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def within(folder: Path, name: str) -> bool:
    """Whether a name from a manifest leads to no place outside the folder."""
    try:
        return (folder / name).parent.resolve().is_relative_to(folder.resolve()) and Path(name).name not in ("", "..")
    except (OSError, ValueError, RuntimeError):  # it is too long, holds a NUL, or leads round in circles
        return False


def _root(path: Path) -> Path | None:
    """The folder that is being filled and holds `path`."""
    return next((folder for folder in (path, *path.parents) if folder.name.startswith(FILLING)), None)


def _visible(folder: Path) -> list[str]:
    """The files in a folder as manifests name them: all but hidden ones and the manifest itself."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = [path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts)]
    return sorted(name for name in names if name not in (RUN, FILES))


def _begun(place: Path) -> tuple[Path, int]:
    """A new folder to fill, and the descriptor that holds its lock."""
    with _locked(place, make=True):
        _finish(place)
        for part in _fillings(place, dead=True):
            _discard(part)
        part = Path(tempfile.mkdtemp(prefix=FILLING, dir=place))
        return part, _lock(part)


def _finish(place: Path) -> None:
    """Move into place what is complete, oldest first. The place is locked."""
    if (place / FILLED).exists():
        _move_in(place)
    for part in sorted(_fillings(place, dead=True), key=lambda part: part.stat().st_mtime_ns):
        if _counting(part):
            _commit(part, place)


def _fillings(place: str | Path, dead: bool) -> list[Path]:
    """The folders being filled in a place: those of processes that are gone, or of living ones."""
    return [path for path in Path(place).glob(f"{FILLING}*") if path.is_dir() and _is_dead(path) is dead]


def _is_dead(part: Path) -> bool:
    with suppress(OSError):  # somebody has its lock, it is in place by now, or this file system knows no locks
        descriptor = os.open(part, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        finally:
            os.close(descriptor)
    return False


def _commit(part: Path, place: Path) -> None:
    """Put what a filled folder holds in the place of what was written there before. The place is locked."""
    names = _counting(part)
    if not names:
        _discard(part)
        return
    for path in [path for path in part.rglob("*") if path.is_file()]:
        if path.relative_to(part).as_posix() not in names:
            path.unlink()
    if RUN not in names:
        write_at_once(part / FILES, json.dumps({"files": digests(part)}, indent=1) + "\n")
    before = _ours(place, (RUN,) if RUN in names else (RUN, FILES))
    going = sorted((name for name in before if name not in names or _is_head(name)), key=_is_head, reverse=True)
    (part / REPLACED).write_text(json.dumps(going))
    part.rename(place / FILLED)
    _move_in(place)


def _counting(part: Path) -> set[str]:
    """The files of a folder being filled that its manifest names, itself included; none without a manifest."""
    for name in (RUN, FILES):
        if files := manifest(part, name):
            return {name, *(file for file in files if within(part, file) and (part / file).is_file())}
    return set()


def _move_in(place: Path) -> None:
    """Move the files of `.filled` into place; if interrupted, it can be called again."""
    filled = place / FILLED
    going = filled / REPLACED
    if going.exists():
        for name in _listed(going):
            if within(place, name):
                _remove(place, name)
        going.unlink()
    paths = [path for path in filled.rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: (_is_head(path.name), -len(path.parts))):
        target = place / path.relative_to(filled)
        _make_room(target, place)
        shutil.move(path, target)  # also across file systems
    shutil.rmtree(filled)


def _listed(path: Path) -> list[str]:
    """The names that a JSON file lists; none where it cannot be read or holds no list."""
    try:
        names = read_json(path, LARGEST_MANIFEST)
    except (OSError, ValueError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _ours(place: Path, manifests: Iterable[str]) -> set[str]:
    """The files that were written into a place, and what `make` makes of them there."""
    names = {file for name in manifests if (files := manifest(place, name)) for file in (name, *files)}
    objects = {name.removesuffix(".c") + ending for name in names if name.endswith(".c") for ending in (".o", ".ci")}
    return {name for name in names | objects if within(place, name)}


def _is_head(name: str) -> bool:
    return name.rpartition("/")[2] in HEADS


def _remove(place: Path, name: str) -> None:
    path = place / name
    if not path.is_file():
        return
    path.unlink()
    for folder in list(path.parents)[: -len(place.parents) - 1]:
        try:
            folder.rmdir()
        except OSError:  # something is in it
            return


def _make_room(target: Path, place: Path) -> None:
    """Make the folder of `target`; what is in the way, links included, is not ours and is kept as `NAME~`."""
    for folder in reversed(list(target.parents)[: -len(place.parents) - 1]):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            folder.rename(folder.with_name(f"{folder.name}~"))
        folder.mkdir(exist_ok=True)
    if target.is_dir():
        target.rename(target.with_name(f"{target.name}~"))


def _discard(part: Path) -> None:
    """Remove a folder being filled, its manifest first, so that no half of it is ever taken for complete."""
    for name in (RUN, FILES):
        (part / name).unlink(missing_ok=True)
    shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked(place: Path, make: bool = False) -> Iterator[None]:
    """As long as this holds, nobody else moves anything into or out of `place`, which is made if `make`."""
    while True:
        if make:
            place.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = _lock(place)
            if os.path.samestat(os.fstat(descriptor), place.stat()):
                break
            os.close(descriptor)
        except FileNotFoundError:  # a writer that failed took its empty folder away
            if not make:
                raise
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    """An open descriptor with the folder's lock, once nobody else has it; it ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # this file system knows no locks: two writers at once may disturb each other
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
