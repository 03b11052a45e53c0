"""Boards in TOML: those that ship with the package (chips.toml), and a file of one's own."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench import files
from workbench.boards.board import Board, board_of
from workbench.errors import BoardError

CHIPS = Path(__file__).parent / "chips.toml"
ENDING = ".toml"
MOST = 1 << 16  # bytes of a file
HINT = "`workbench help boards` tells what such a file holds"


def shipped() -> dict[str, Board]:
    """Name -> board, in the order of chips.toml."""
    chips: dict[str, dict[str, Any]] = tomllib.loads(CHIPS.read_text(encoding="utf-8"))
    return {name: board_of({"name": name, **told}, name) for name, told in chips.items()}


def read(path: str | Path) -> Board:
    """The board of a file. Raises BoardError where it is missing, or for whatever is wrong in it."""
    path = Path(path)
    try:
        told = tomllib.loads(files.read_text(path, MOST))
    except FileNotFoundError:
        raise BoardError(f"{path} is missing", HINT) from None
    except (OSError, ValueError) as error:
        raise BoardError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", HINT) from None
    board = board_of({"name": path.stem, **told}, str(path))
    return replace(board, source=board.source or path.name)
