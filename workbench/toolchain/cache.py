"""Images that were built before, one file each, found by what they were made of.

    <key>.image     sha256 of the key and of all that follows
                    the sizes, as JSON
                    the ELF

An entry that is not whole, or lies under another's key, is none: the image is built and kept anew. Where nothing can be
kept, nothing is.
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
    with suppress(RuntimeError):  # no HOME, and no entry in the list of users: so in many a container
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"
    return None


def kept(key: str) -> tuple[dict[str, int], bytes] | None:
    """The sizes and the ELF kept under `key`; None where there is no such entry, whole and its own."""
    place = folder()
    try:
        digest, _, content = (place / f"{key}.image").read_bytes().partition(b"\n") if place else (b"", b"", b"")
    except OSError:
        return None
    if digest != _digest(key, content):
        return None
    sizes, _, elf = content.partition(b"\n")
    return json.loads(sizes), elf


def keep(key: str, sizes: dict[str, int], elf: bytes) -> None:
    """Keep an image: all of it or nothing, whoever else keeps the same one at the same time."""
    place, content = folder(), json.dumps(sizes).encode() + b"\n" + elf
    if place is None:
        return
    with suppress(OSError):  # the cache saves time; a disk that is full or read-only costs no more than that
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as unfinished:
            part = Path(unfinished) / "image"
            part.write_bytes(_digest(key, content) + b"\n" + content)
            part.replace(place / f"{key}.image")


def _digest(key: str, content: bytes) -> bytes:
    return sha256(key.encode() + b"\n" + content).hexdigest().encode()
