"""Give one operand of operators in a .tflite file a tensor of its own, where the file stores it together with others.

    before   header │ tables and data                      conv_1 and conv_2 read tensor 7, a bias of zeros
    after    header │ new │ the same bytes, moved by D     conv_2 reads tensor 31, new, with a buffer of its own

Offsets in a flatbuffer are relative, and but for those of vtables lead forward: what is new stands in front and leads
to the old bytes, of which nothing changes but the numbers of the tensors that the operators read. In front are the
tables whose vectors grow: Model (buffers), SubGraph (tensors), and a copy of each Tensor
(https://flatbuffers.dev/internals, tensorflow/compiler/mlir/lite/schema/schema.fbs).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import ModelError

ALIGNED = 16  # bytes, of a buffer's data
MODEL_SUBGRAPHS, MODEL_BUFFERS = 2, 4
GRAPH_TENSORS, GRAPH_OPERATORS, OPERATOR_INPUTS = 0, 3, 1
TENSOR_BUFFER = 2
# of each table, by the number of a field: offsets, and plain numbers
MODEL = ((1, 2, 3, 4, 5, 6, 7), (0,))
GRAPH = ((0, 1, 2, 3, 4), (5,))
TENSOR = ((0, 3, 4, 6, 7, 9), (1, 2, 5, 8))


@dataclass(frozen=True)
class Own:
    """Tensor `tensor` with other `data`, for the operands (operator, index) in `uses`."""

    tensor: int
    uses: tuple[tuple[int, int], ...]
    data: bytes


def split(content: bytes, wanted: Sequence[Own], file: str) -> bytes:
    """The file in which each of these has a tensor and a buffer of its own. Raises ModelError where it has tables that
    this does not know."""
    return _Split(content, file).done(wanted) if wanted else content


class _Split:
    def __init__(self, content: bytes, file: str) -> None:
        self.old, self.file = content, file
        self.model = self._to(0)
        self.graph = self._elements(self._field(self.model, MODEL_SUBGRAPHS))[0]
        self.new = bytearray(b"\0\0\0\0" + content[4:8])  # the front
        self.late: list[tuple[int, int, bool]] = []  # place of an offset in front, what it leads to, whether in front
        self.vtables: list[tuple[int, int]] = []  # place of a table in front, its vtable among the old bytes

    def done(self, wanted: Sequence[Own]) -> bytes:
        tensors, buffers = (self._elements(self._field(*at)) for at in (
            (self.graph, GRAPH_TENSORS), (self.model, MODEL_BUFFERS)))  # fmt: skip
        graphs = self._elements(self._field(self.model, MODEL_SUBGRAPHS))
        model, of_model = self._copy(self.model, *MODEL)
        of_graphs = self._space(4 * len(graphs) + 4)
        graph, of_graph = self._copy(self.graph, *GRAPH)
        self._lead(0, model)
        self._lead(of_model[MODEL_SUBGRAPHS], of_graphs)
        self._fill(of_graphs, [(graph, True), *((each, False) for each in graphs[1:])])
        of_tensors, of_buffers = (self._space(4 * (len(known) + len(wanted) + 1)) for known in (tensors, buffers))
        self._lead(of_graph[GRAPH_TENSORS], of_tensors)
        self._lead(of_model[MODEL_BUFFERS], of_buffers)
        new_tensors, new_buffers = [], []
        for number, own in enumerate(wanted):
            tensor, fields = self._copy(tensors[own.tensor], *TENSOR)
            struct.pack_into("<I", self.new, fields[TENSOR_BUFFER], len(buffers) + number)
            new_tensors.append((tensor, True))
            new_buffers.append((self._buffer(own.data), True))
        self._fill(of_tensors, [*((each, False) for each in tensors), *new_tensors])
        self._fill(of_buffers, [*((each, False) for each in buffers), *new_buffers])
        moved = -(-len(self.new) // ALIGNED) * ALIGNED
        old = bytearray(self.old)
        operators = self._elements(self._field(self.graph, GRAPH_OPERATORS))
        for number, own in enumerate(wanted):
            for operator, index in own.uses:
                inputs = self._field(operators[operator], OPERATOR_INPUTS)
                struct.pack_into("<i", old, self._to(inputs) + 4 + 4 * index, len(tensors) + number)
        for at, target, front in self.late:
            struct.pack_into("<I", self.new, at, (target if front else target + moved) - at)
        for at, vtable in self.vtables:
            struct.pack_into("<i", self.new, at, at - (vtable + moved))
        return bytes(self.new).ljust(moved, b"\0") + bytes(old)

    # Reading

    def _number(self, kind: str, at: int) -> int:
        return int(struct.unpack_from(f"<{kind}", self.old, at)[0])

    def _to(self, at: int) -> int:
        return at + self._number("I", at)

    def _slots(self, table: int) -> tuple[int, list[int], int]:
        """The vtable, where in the table each field is (0: nowhere), and the table's size."""
        vtable = table - self._number("i", table)
        count = self._number("H", vtable) // 2 - 2
        return (
            vtable,
            [self._number("H", vtable + 4 + 2 * each) for each in range(count)],
            self._number("H", vtable + 2),
        )

    def _field(self, table: int, number: int) -> int:
        _, slots, _ = self._slots(table)
        if number >= len(slots) or not slots[number]:
            raise ModelError(f"{self.file}: its tables lack a field", "an .npz holds the weights of any network")
        return table + slots[number]

    def _elements(self, field: int) -> list[int]:
        """The tables that a vector leads to."""
        vector = self._to(field)
        return [self._to(vector + 4 + 4 * each) for each in range(self._number("I", vector))]

    # Writing in front

    def _space(self, size: int, aligned: int = 4, over: int = 0) -> int:
        """So many zeros; `over`: how far the place has to be beyond what is aligned."""
        self.new.extend(bytes((over - len(self.new)) % aligned + size))
        return len(self.new) - size

    def _lead(self, at: int, target: int, front: bool = True) -> None:
        self.late.append((at, target, front))

    def _copy(self, table: int, offsets: Sequence[int], plain: Sequence[int]) -> tuple[int, list[int]]:
        """A copy of a table, with the vtable that it has, and where its fields are."""
        vtable, slots, size = self._slots(table)
        if any(slot for number, slot in enumerate(slots) if number not in (*offsets, *plain)):
            raise ModelError(f"{self.file} has tables of a newer form, in which stored tensors cannot be parted",
                             "an .npz holds the weights of any network")  # fmt: skip
        at = self._space(size, ALIGNED, table % ALIGNED)
        self.new[at:] = self.old[table : table + size]
        self.vtables.append((at, vtable))
        for number in offsets:
            if number < len(slots) and slots[number]:
                self._lead(at + slots[number], self._to(table + slots[number]), front=False)
        return at, [at + slot for slot in slots]

    def _fill(self, at: int, targets: Sequence[tuple[int, bool]]) -> None:
        struct.pack_into("<I", self.new, at, len(targets))
        for number, (target, front) in enumerate(targets):
            self._lead(at + 4 + 4 * number, target, front)

    def _buffer(self, data: bytes) -> int:
        """A Buffer of one field, its data: vtable, table, vector."""
        vtable = self._space(6, 4)
        struct.pack_into("<HHH", self.new, vtable, 6, 8, 4)
        table = self._space(8, 4)
        struct.pack_into("<i", self.new, table, table - vtable)
        vector = self._space(4 + len(data), ALIGNED, ALIGNED - 4)
        struct.pack_into("<I", self.new, vector, len(data))
        self.new[vector + 4 :] = data
        self._lead(table + 4, vector)
        return table
