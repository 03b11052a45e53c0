"""From an address to the buffer a person knows: who is alive at a position, who lies nearest, and how to say it."""

from workbench.errors import FirmwareFault
from workbench.tables import OpRow
from workbench.trace.attribution import Placed
from workbench.units import address as hexadecimal

FAR = 1 << 20  # bytes; a buffer further off explains nothing


class LocatedFault(FirmwareFault):
    """A fault whose operator and nearest buffer are known (rows of ops.csv and buffers.csv, or None)."""

    def __init__(self, message, hint=None, *, op: OpRow | None = None, buffer=None, **known):
        super().__init__(message, hint, **known)
        self.op, self.buffer = op, buffer


def alive(placed: list[Placed], position: int) -> list[Placed]:
    """The buffers that hold something at a position: all outside the arena; outside operators, what enters it."""
    at = max(position, 0)
    return [b for b in placed if b.row.storage != "arena" or (b.row.lower or 0) <= at < (b.row.upper or 0)]


def nearest(placed: list[Placed], address: int) -> Placed | None:
    """The buffer that holds the address, else the nearest one; the one it lies behind, if two are equally near."""
    found = min(placed, key=lambda b: (distance(b, address), b.begin > address), default=None)
    return found if found and distance(found, address) <= FAR else None


def declared(placed: list[Placed], op: OpRow | None, address: int) -> Placed | None:
    """The nearest of the buffers that an operator declared."""
    mine = {*op.reads, *op.writes, *op.scratch} if op else set()
    return nearest([b for b in placed if b.row.id in mine], address)


def distance(buffer: Placed, address: int) -> int:
    """Bytes between an address and a buffer; 0 inside it and just past its end."""
    return max(buffer.begin - address, address - buffer.end, 0)


def extent(buffer: Placed) -> str:
    """'buffer block3.dw [0x2003f000, 0x20040000)'."""
    return f"buffer {buffer.row.name} [{hexadecimal(buffer.begin)}, {hexadecimal(buffer.end)})"


def place(buffer: Placed, address: int) -> str:
    """'4 bytes past buffer block3.dw [0x2003f000, 0x20040000)'."""
    if buffer.begin <= address < buffer.end:
        return f"at byte {address - buffer.begin} of {extent(buffer)}"
    away = distance(buffer, address)
    if address < buffer.begin:
        return f"{away} bytes before {extent(buffer)}"
    return f"{away} bytes past {extent(buffer)}" if away else f"just past {extent(buffer)}"


def operator(op: OpRow, symbol: str | None) -> str:
    """How a message goes on after the function it named: 'op_041_conv2d_grad_w (d.block3.dw)'."""
    return op.node if op.symbol == symbol else f"{op.symbol} ({op.node})"


def overrun(buffers: list[Placed], low: int, high: int) -> list[Placed]:
    """The buffers that what grew from `high` down to `low` went through, in that order."""
    return sorted((b for b in buffers if b.begin < high and low < b.end), key=lambda b: -b.end)
