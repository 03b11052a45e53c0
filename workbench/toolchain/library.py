"""The object of kernels.c, the same for all networks (codegen/conventional.py): compiled once a core, then kept.

The entry holds one line of JSON, what gcc told of calls and frames (kernels.ci), and the object. `make` finds both
beside the sources, newer than these, and does not compile them again.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from workbench import cache
from workbench.toolchain import compiler

SOURCE, OBJECT, CALLS = "kernels.c", "kernels.o", "kernels.ci"
KIND, MOST = "kernels", 24  # entries, of some 500 KB each


def provide(folder: Path, files: Mapping[str, str]) -> None:
    """Put the object into `folder`, where these `files` are, if it is kept."""
    content = cache.content_of(_key(files), KIND) if SOURCE in files else None
    if content is not None:
        line, _, content = content.partition(b"\n")
        (folder / OBJECT).write_bytes(content)
        (folder / CALLS).write_text(json.loads(line), encoding="utf-8")
        cache.used(_key(files), KIND)


def keep(folder: Path, files: Mapping[str, str]) -> None:
    """Keep the object that was compiled in `folder`."""
    if SOURCE in files and cache.content_of(_key(files), KIND) is None:
        calls = json.dumps((folder / CALLS).read_text(encoding="utf-8")).encode()
        cache.keep_content(_key(files), KIND, calls + b"\n" + (folder / OBJECT).read_bytes())
        cache.drop_oldest(KIND, MOST)


def _key(files: Mapping[str, str]) -> str:
    """A digest of the compiler, its flags, and all that kernels.c is made of."""
    flags = [line for line in files["Makefile"].splitlines() if line.startswith(("CPU", "CFLAGS"))]
    digest = hashlib.sha256("\0".join([compiler.gcc_version(), compiler.werror(), *flags]).encode())
    for name, text in sorted(files.items()):
        if name in (SOURCE, "kernel_call.h") or name.startswith("kernels/"):
            digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()[:32]
