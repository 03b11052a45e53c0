"""From a C project to an Image: make, link, sizes, and the stack it may need. Built once, cached by content."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from workbench import cache
from workbench.artifacts import Image
from workbench.boards import Board, virtual_twin
from workbench.codegen.project import Project, board_script
from workbench.errors import BudgetError, ToolchainError, naming
from workbench.toolchain import compiler, library, sizes

BESIDE = ("firmware.elf", "buffers.csv", "ops.csv")  # what `install` writes beside the project's files


def build(project: Project, board: Board, folder: Path, arena: int) -> Image:
    """`make_image`, then `install` into `folder`."""
    return install(project, make_image(project, board, arena), folder)


def make_image(project: Project, board: Board, arena: int) -> Image:
    """Compile and link, or take the kept image of the same sources and compiler; writes nothing but the cache.

    `arena` are the bytes planned. What does not fit `board`, its stack included, is linked for the virtual twin.
    Raises ToolchainError where gcc is missing, InternalError with gcc's own words where it refuses our C.
    """
    least = arena + project.static  # known before gcc runs, which takes a minute for a large network
    image = _build(project.files, board) if least <= board.sram_size else None
    if image is not None and image.static + arena + image.stack_reserve <= board.sram_size:
        return image
    twin = virtual_twin(board)
    image = _build(_for_board(project, twin), twin)
    if image is None:
        raise BudgetError(f"the network does not even fit {twin}")
    return image


def install(project: Project, image: Image, folder: Path) -> Image:
    """Write the project and its ELF into `folder`; gives the image that lies there."""
    with naming(folder):
        replace(project, files=_for_board(project, image.board)).save(folder)
        (folder / "firmware.elf").write_bytes(image.content)
    return replace(image, elf=folder / "firmware.elf")


def built_here(folder: Path, elf: bytes) -> dict[str, str] | None:
    """The project's files in `folder`, name -> text, if this machine built `elf` from exactly these; else None.

    C that was generated here may also run on this machine itself; a stranger's may not.
    """
    try:
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in BESIDE]
        files = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}
        entry = cache.kept(_key(files))
    except (OSError, UnicodeError, ToolchainError):
        return None
    return files if entry and entry[1] == elf else None


def _for_board(project: Project, board: Board) -> dict[str, str]:
    return {**project.files, "board.ld": board_script(board)}


def _build(files: Mapping[str, str], board: Board) -> Image | None:
    """The image of these sources; None where a memory of the board overflows."""
    key = _key(files)
    if entry := cache.kept(key):
        measured, elf = entry
    elif built := _compile(files, board):
        measured, elf = built
        cache.keep(key, measured, elf)
    else:
        return None
    return Image(elf, board, measured["flash"], measured["static"], measured["stack_reserve"])


def _key(files: Mapping[str, str]) -> str:
    digest = hashlib.sha256(f"{compiler.gcc_version()}\0{compiler.werror()}\0".encode())
    digest.update(Path(sizes.__file__).read_bytes())  # computes the sizes that an entry holds
    for name, text in sorted(files.items()):
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()[:32]


def _compile(files: Mapping[str, str], board: Board) -> tuple[dict[str, int], bytes] | None:
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:  # Ctrl-C: gcc may still be writing
            work = Path(name, "firmware")
            Project(files, (), ()).save(work)
            library.provide(work, files)
            if not compiler.make(work, files):
                return None
            library.keep(work, files)
            return sizes.sizes(work, board), (work / "firmware.elf").read_bytes()
    except OSError as error:
        raise ToolchainError(
            f"the firmware cannot be built in {tempfile.tempdir or 'TMPDIR'}: {error.strerror or error}", compiler.ROOM
        ) from None
