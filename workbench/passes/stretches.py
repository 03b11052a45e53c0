"""Stretches of a graph's order that could be regions, by rows or by channels, and the bytes alive while each runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.errors import ShapeError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import is_static, liveness, scratch_bytes, steps, storage_roots
from workbench.ir.slices import begun, slices
from workbench.ir.strips import runs_over, strips
from workbench.ops.fused_update import fused_name
from workbench.passes.by_rows import Pair, movable
from workbench.passes.fuse_update import fuse_update
from workbench.passes.precedence import predecessors

ROWS, CHANNELS = {"rows": 1}, {"channels": 1}  # how a region's body runs; as narrow as it can
IMPOSSIBLE = 1 << 60  # bytes
Body = tuple[Graph, tuple[str, ...], tuple[str, ...]]  # a sub-graph, and its operands and results


@dataclass(frozen=True)
class Stretch:
    """Nodes [begin, end): `members` work by `attrs`, those `before` and `after` run around the region; all by index.

    `over`: an image that the region reads, and the result that takes its place row by row; () where there is none.
    """

    begin: int
    end: int
    members: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    live: int
    body: Body
    attrs: Mapping[str, int]
    over: Pair | tuple[()]


@dataclass(frozen=True)
class _Piece:
    """A storage: its bytes, who makes it first, and a bit for each node that makes, reads or takes it."""

    bytes: int
    maker: int | None
    users: int
    lasts: bool  # to the end, as an output


@dataclass
class Stretches:
    """All stretches of at most `longest` members during which fewer than `limit` bytes live.

    Values that are `gone` take no memory, except as the result of a region. `live` are the bytes that live while each
    node runs by itself, as it does in `alone`, the same graph in place or not; one without a kernel cannot. Images that
    are `movable` can lie row by row.
    """

    graph: Graph
    alone: Graph
    longest: int
    limit: int
    gone: frozenset[str]
    live: list[int] = field(init=False)
    movable: frozenset[str] = field(init=False)

    def __post_init__(self):
        graph = self.graph
        self.count = len(graph.nodes)
        self._before = _all_before(predecessors(graph))
        self._root = storage_roots(graph)
        self._pieces = _pieces(graph, self._root)
        self._read = _readers(graph)
        self.movable = movable(graph) - self.gone
        names = (node.results[0] for node in steps(graph))
        living = dict(zip(names, live_bytes(self.alone, self.gone), strict=True))
        self.live = [
            living.get(node.results[0], 0) if ops.get(node.op).kernel or ops.get(node.op).view else IMPOSSIBLE
            for node in graph.nodes
        ]
        self._ending: dict[int, list[Stretch]] = {}
        for begin in range(self.count):
            chain = self._by_channels(begin)
            for stretch in (*self._by_rows(begin), *([chain] if chain else [])):
                self._ending.setdefault(stretch.end, []).append(stretch)

    def ending_at(self, end: int) -> list[Stretch]:
        return self._ending.get(end, [])

    def _works_by_rows(self, index: int) -> bool:
        node = self.graph.nodes[index]
        kinds = [self.graph.types[name] for name in (*node.operands, *node.results)]
        return (
            ops.get(node.op).rows is not None
            and not node.overwrites
            and any(kind.rank == 4 and kind.dtype != "bit" for kind in kinds)
        )

    def _by_rows(self, begin: int):
        """Stretches that begin at a node, longer and longer."""
        if not self._works_by_rows(begin):
            return
        inside, members, before, after = 0, [], [], []
        for index in range(begin, self.count):
            depends = self._before[index]
            if self._works_by_rows(index):
                if any(depends >> other & 1 for other in after):
                    return  # a node that needs the region would have to run before it
                members.append(index)
                inside |= 1 << index
                if len(members) > self.longest:
                    return
                stretch = self._stretch(begin, index + 1, members, before, after, inside, ROWS)
                if stretch:
                    yield stretch
            elif depends & inside:
                after.append(index)
            else:
                before.append(index)

    def _by_channels(self, begin: int) -> Stretch | None:
        """From a node that makes channels to the last that reads some, and the updates they lead to."""
        inside, members, before, after = 0, [], [], []
        sliced, waited = set(), 0  # values that exist in slices; who reads those, or gradients made of them
        widest = None
        for index in range(begin, min(self.count, begin + 3 * self.longest)):
            node, depends = self.graph.nodes[index], self._before[index]
            if sliced and not waited >> index & 1:
                (after if depends & inside else before).append(index)
                continue
            made = self._slice(node, sliced)
            able = made or self._applies(node, members)
            if not able or len(members) == self.longest or any(depends >> other & 1 for other in after):
                break
            members.append(index)
            inside |= 1 << index
            if made and made.gives == "channels":
                sliced.add(node.results[0])
            if made and made.gives != "sum":
                waited |= self._read.get(node.results[0], 0)
            if sliced and all(not self._read[name] & ~inside for name in sliced):
                widest = self._stretch(begin, index + 1, members, before, after, inside, CHANNELS) or widest
            if not waited & ~inside:
                break
        return widest

    def _slice(self, node: Node, sliced: set[str]):
        """How a node works channel by channel, if it can: made from operands in slices, or the first to make some."""
        where = tuple(index for index, name in enumerate(node.operands) if name in sliced)
        kinds = [self.graph.types[name] for name in node.operands]
        if bool(where) != bool(sliced) or self.graph.types[node.results[0]].rank == 0:
            return None
        return ops.get(node.op).slices(where, *kinds, **node.attrs)

    def _applies(self, node: Node, members: list[int]) -> bool:
        """Whether a node updates by a gradient made by one of these, so that the two can be one."""
        value = node.operands[1] if len(node.operands) > 1 else ""
        return any(
            value in self.graph.nodes[at].results and fused_name(self.graph.nodes[at].op, node.op) for at in members
        )

    def _stretch(self, begin, end, members, before, after, inside, attrs) -> Stretch | None:
        body, done = self._body(members, inside, attrs), (1 << begin) - 1
        for index in before:
            done |= 1 << index
        pairs = self._pairs(body, inside) if attrs is ROWS else self._sums(body, done | inside)
        if len(members) < 2 and (not pairs or self._works_in_place(begin)):
            return None
        live = self._live(done, inside, {self._root[name] for name in body[2]})
        if live - max((self._pieces[result].bytes for _, result in pairs), default=0) >= self.limit:
            return None
        try:
            plan = (strips if attrs is ROWS else slices)(body[0], 1)
        except ShapeError:
            return None
        over = next((pair for pair in pairs if attrs is CHANNELS or runs_over(plan, *pair)), ())
        live += plan.scratch - (self._pieces[over[1]].bytes if over else 0)
        if live >= self.limit or (len(members) < 2 and not over):
            return None
        return Stretch(begin, end, tuple(members), tuple(before), tuple(after), live, body, attrs, over)

    def _sums(self, body: Body, done: int) -> list[Pair]:
        """Values that nobody reads once these nodes are done, and the sums that begin at them, in the same place."""
        try:
            pairs = [(x, y) for y, x in begun(body[0]).items()]
        except ShapeError:
            return []
        return [
            (x, y)
            for x, y in pairs
            if not self._read[x] & ~done and self._root[x] in self._pieces and not self._pieces[self._root[x]].lasts
        ]

    def _works_in_place(self, index: int) -> bool:
        node = self.graph.nodes[index]
        return bool(ops.get(node.op).can_take(node.operands))

    def _pairs(self, body: Body, inside: int) -> list[Pair]:
        """Images that only the members read, and the results that have room in them; the largest result first."""
        _, operands, results = body
        bytes_of = {name: self._pieces[name].bytes for name in self.movable.intersection((*operands, *results))}
        dying = [x for x in operands if x in bytes_of and not self._read[x] & ~inside]
        pairs = [(x, y) for y in results for x in dying if y in bytes_of and bytes_of[y] <= bytes_of[x]]
        return sorted(pairs, key=lambda pair: -bytes_of[pair[1]])

    def _body(self, members, inside: int, attrs) -> Body:
        nodes = [self.graph.nodes[index] for index in members]
        made = dict.fromkeys(name for node in nodes for name in node.results)
        operands = tuple(dict.fromkeys(name for node in nodes for name in node.operands if name not in made))
        inner = {node.results[0] for node in nodes if attrs is CHANNELS or not ops.get(node.op).rows.adds_up}
        results = tuple(
            name for name in made
            if name not in inner or self._read.get(name, 0) & ~inside or name in self.graph.outputs
            or not any(self._read.get(other, 0) for node in nodes if name in node.results for other in node.results)
        )  # fmt: skip
        types = {name: self.graph.types[name] for name in (*operands, *made)}
        body = Graph(operands, (), tuple(nodes), results, types)
        return fuse_update(body, must_pay=False) if attrs is CHANNELS else body, operands, results

    def _live(self, done: int, inside: int, results: set[str]) -> int:
        """Bytes alive while the region runs, the rows it keeps left out."""
        later = ~(done | inside)
        total = 0
        for root, piece in self._pieces.items():
            there = piece.maker is None or (done >> piece.maker & 1)
            waits = there and root not in self.gone and (piece.lasts or piece.users & (inside | later))
            if waits or (not there and root in results):
                total += piece.bytes
        return total


def live_bytes(graph: Graph, gone: frozenset[str]) -> list[int]:
    """Arena bytes alive at each position, scratch included, values that are `gone` left out."""
    living = liveness(graph, scratch_bytes(graph))
    live = list(living.live)
    for storage in living.arena:
        if storage.name in gone:
            for position in range(storage.lower, storage.upper):
                live[position] -= storage.bytes_at(position)
    return live


def _all_before(direct: tuple[int, ...]) -> list[int]:
    """For each node every node that must stand before it, indirect ones too."""
    closed: list[int] = []
    for needed in direct:
        total, left = needed, needed
        while left:
            index = left.bit_length() - 1
            left &= ~(1 << index)
            total |= closed[index]
        closed.append(total)
    return closed


def _readers(graph: Graph) -> dict[str, int]:
    readers: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.operands:
            readers[name] = readers.get(name, 0) | 1 << index
    return readers


def _pieces(graph: Graph, root: dict[str, str]) -> dict[str, _Piece]:
    """The storages of the arena by their first value."""
    maker = {result: index for index, node in enumerate(graph.nodes) for result in node.results}
    size: dict[str, int] = {}
    users: dict[str, int] = {}
    for name, first in root.items():
        size[first] = max(size.get(first, 0), -(-graph.types[name].bytes // 4) * 4)
    for index, node in enumerate(graph.nodes):
        for name in (*node.operands, *node.results):
            users[root[name]] = users.get(root[name], 0) | 1 << index
    lasting = {root[name] for name in graph.outputs}
    return {
        first: _Piece(size[first], maker.get(first), users.get(first, 0), first in lasting)
        for first in size
        if not is_static(graph, first)
    }
