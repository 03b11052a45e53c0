"""A cache on disk, a file an entry, found by what the entry was made from.

Images here, compiled steps in compiled_cache.py, the tracer's machine code in trace/callbacks.py.

    <key>.image     sha256 of the key and of all that follows
                    the sizes, as JSON
                    the ELF

An entry that is damaged, or lies under another's key, is a miss: it is made and kept anew. Where the folder cannot be
written, nothing is kept.
"""

import json
import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path


def folder() -> Path | None:
    """WORKBENCH_CACHE, else `workbench` in the user's cache folder; None for a user without a home."""
    if root := os.environ.get("WORKBENCH_CACHE"):
        return Path(root)
    with suppress(RuntimeError):  # no HOME and no entry in the list of users, as in many containers
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"
    return None


def kept(key: str) -> tuple[dict[str, int], bytes] | None:
    """The sizes and the ELF kept under `key`; None for a miss."""
    content = content_of(key, "image")
    if content is None:
        return None
    sizes, _, elf = content.partition(b"\n")
    return json.loads(sizes), elf


def keep(key: str, sizes: dict[str, int], elf: bytes) -> None:
    """Keep an image atomically, even while another process keeps the same one."""
    keep_content(key, "image", json.dumps(sizes).encode() + b"\n" + elf)


def content_of(key: str, kind: str) -> bytes | None:
    """The content of the entry `key` of this kind, which follows its digest; None for a miss."""
    place = folder()
    try:
        digest, _, content = (place / f"{key}.{kind}").read_bytes().partition(b"\n") if place else (b"", b"", b"")
    except OSError:
        return None
    return content if digest == _digest(key, content) else None


def keep_content(key: str, kind: str, content: bytes) -> None:
    """Keep `content` behind its digest, atomically."""
    place = folder()
    if place is None:
        return
    with suppress(OSError):  # a disk that is full or read-only costs time, no more
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as unfinished:
            part = Path(unfinished) / kind
            part.write_bytes(_digest(key, content) + b"\n" + content)
            part.replace(place / f"{key}.{kind}")


def drop_oldest(kind: str, most: int) -> None:
    """Remove the entries of this kind that were used longest ago, so that at most `most` are left."""
    place = folder()
    with suppress(OSError):  # another process may have removed one of them, or the folder
        entries = sorted(place.glob(f"*.{kind}"), key=lambda path: path.stat().st_mtime) if place else []
        for path in entries[: max(0, len(entries) - most)]:
            path.unlink(missing_ok=True)


def used(key: str, kind: str) -> None:
    """Mark an entry as just used: `drop_oldest` removes others first."""
    if place := folder():
        with suppress(OSError):
            os.utime(place / f"{key}.{kind}")


def _digest(key: str, content: bytes) -> bytes:
    return sha256(key.encode() + b"\n" + content).hexdigest().encode()
