"""From a C project to an Image: make, link, sizes, and the stack it may need. Built once, cached by content."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from workbench.boards import Board, virtual_twin
from workbench.codegen.project import Project, board_script
from workbench.errors import BudgetError, InternalError, ToolchainError

ENTRIES = ("Reset_Handler", "wb_forward", "wb_accumulate", "wb_train_step")
INSTALL = "`./workbench.sh setup` installs it; or: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi make"


@dataclass(frozen=True)
class Image:
    """A linked firmware. Sizes in bytes; `stack_reserve` is the deepest call chain by gcc's own stack figures.

    `board` is the one it was linked for: where the real one is too small, its virtual twin.
    """

    elf: Path
    board: Board
    flash: int
    static: int
    stack_reserve: int


def build(project: Project, board: Board, folder: Path, arena: int) -> Image:
    """`make_image`, then `install` into `folder`."""
    return install(project, make_image(project, board, arena), folder)


def make_image(project: Project, board: Board, arena: int) -> Image:
    """Compile and link, or take the kept image of the same sources and compiler; writes nothing but the cache.

    `arena` are the bytes planned. What does not fit `board`, its stack included, is linked for the virtual twin.
    Raises ToolchainError where gcc is missing, InternalError with gcc's own words where it refuses our C.
    """
    least = arena + sum(row.size for row in project.buffers if row.storage == "sram")
    image = _build(project.files, board) if least <= board.sram_size else None  # gcc takes a minute for a large network
    if image is not None and image.static + arena + image.stack_reserve <= board.sram_size:
        return image
    twin = virtual_twin(board)
    image = _build(_for_board(project, twin), twin)
    if image is None:
        raise BudgetError(f"the network does not even fit {twin}")
    return image


def install(project: Project, image: Image, folder: Path) -> Image:
    """Write the project and its ELF into `folder`; gives the image that lies there."""
    replace(project, files=_for_board(project, image.board)).save(folder)
    shutil.copyfile(image.elf, folder / "firmware.elf")
    return replace(image, elf=folder / "firmware.elf")


def _for_board(project: Project, board: Board) -> dict[str, str]:
    return {**project.files, "board.ld": board_script(board)}


@cache
def gcc_version() -> str:
    """The first line of `arm-none-eabi-gcc --version`. Raises ToolchainError where it is missing."""
    for tool in ("arm-none-eabi-gcc", "make"):
        if not shutil.which(tool):
            raise ToolchainError(f"{tool} is not installed", INSTALL)
    return subprocess.run(
        ["arm-none-eabi-gcc", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def cache_folder() -> Path:
    """Where built images are kept: WORKBENCH_CACHE, else the user's cache folder."""
    root = os.environ.get("WORKBENCH_CACHE")
    return Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"


def _build(files: Mapping[str, str], board: Board) -> Image | None:
    """The image of these sources; None where a memory of the board overflows."""
    digest = hashlib.sha256(gcc_version().encode())
    digest.update(Path(__file__).read_bytes())  # who tells the sizes
    for name, text in sorted(files.items()):
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    kept = cache_folder() / digest.hexdigest()[:32]
    if not (kept / "sizes.json").exists() and not _compile(files, board, kept):
        return None
    return Image(kept / "firmware.elf", board, **json.loads((kept / "sizes.json").read_text()))


def _compile(files: Mapping[str, str], board: Board, kept: Path) -> bool:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as name:
        work = Path(name)
        Project(files, (), ()).save(work)
        done = subprocess.run(
            ["make", f"-j{os.cpu_count() or 1}"], cwd=work, capture_output=True, text=True, check=False
        )
        if done.returncode:
            if re.search(r"region .* overflowed", done.stderr):
                return False
            raise InternalError(f"arm-none-eabi-gcc refused the generated C:\n{done.stderr.strip()[-2000:]}")
        flash, static = _sizes(work / "firmware.elf", board)
        reserve = stack_reserve(work)
        ready = work / "ready"
        ready.mkdir()
        shutil.move(work / "firmware.elf", ready)
        (ready / "sizes.json").write_text(json.dumps({"flash": flash, "static": static, "stack_reserve": reserve}))
        try:
            ready.rename(kept)  # atomic: whoever else built the same image loses nothing
        except OSError:
            if not (kept / "sizes.json").exists():
                raise
    return True


def _sizes(elf: Path, board: Board) -> tuple[int, int]:
    """Bytes of flash (code, constants, initial values), and of SRAM below the arena."""
    listing = _run("arm-none-eabi-size", "-A", str(elf))
    sections = {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"^(\.\S+)\s+(\d+)\s+(\d+)", listing, re.M)}
    flash = sum(sections.get(name, (0, 0))[0] for name in (".vectors", ".text", ".rodata", ".ARM.exidx", ".data"))
    return flash, sections[".arena"][1] - board.sram_base


def stack_reserve(folder: Path) -> int:
    """The deepest stack any entry can need, from the call graphs (*.ci) gcc left beside the objects.

    Raises ToolchainError for recursion: its depth is not in the call graph.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.ci")):
        text = path.read_text()
        for name, size in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes', text):
            frames[_plain(name)] = int(size)
        for source, target in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            calls.setdefault(_plain(source), set()).add(_plain(target))

    on_the_way: list[str] = []

    @cache
    def depth(name: str) -> int:
        if name in on_the_way:
            loop = " -> ".join([*on_the_way[on_the_way.index(name) :], name])
            raise ToolchainError(f"the stack has no bound: {loop} is recursive", "write the kernel as a loop")
        on_the_way.append(name)
        below = max((depth(target) for target in calls.get(name, ())), default=0)
        on_the_way.pop()
        return below + (frames[name] if name in frames else library_frame(folder / "firmware.elf", name))

    return max(depth(entry) for entry in ENTRIES if entry in frames)


def library_frame(elf: Path, name: str) -> int:
    """Bytes of stack that a library function (memset, memcpy) pushes, read from its code: an upper bound."""
    code = _run("arm-none-eabi-objdump", "-d", f"--disassemble={name}", str(elf))
    size = 0
    for mnemonic, operands in re.findall(r"\t(\S+)\t(.*)", code):
        pushed = re.match(r"(v?push|stmdb$)", mnemonic) and (mnemonic != "stmdb" or operands.startswith("sp!"))
        stored = re.search(r"\[sp, #-(\d+)\]!", operands)
        lowered = re.match(r"sp, (?:sp, )?#(\d+)", operands) if mnemonic.startswith("sub") else None
        size += 4 * _registers(operands) if pushed else 0
        size += int((stored or lowered)[1]) if stored or lowered else 0
    return size


def _registers(operands: str) -> int:
    listed = re.search(r"\{(.*)\}", operands)[1]
    count = 0
    for part in listed.split(","):
        low, _, high = part.strip().partition("-")
        each = 2 if low.startswith("d") else 1
        count += each * (int(high[1:]) - int(low[1:]) + 1 if high else 1)
    return count


def _plain(name: str) -> str:
    return name.rsplit(":", 1)[-1]


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
