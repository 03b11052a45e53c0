"""Segments of a graph's order that could be regions, by rows or by channels, and the bytes alive while each runs."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from workbench.ir import op as ops
from workbench.ir.analysis import Piece, bits
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Axis, Footprint, Refusal, Tile
from workbench.ir.liveness import live_bytes
from workbench.ops.fused_update import fused_name
from workbench.schedule.by_rows import Pair, movable
from workbench.schedule.cascade import Cascade, cascade
from workbench.schedule.fusing import fused_everywhere
from workbench.schedule.stages import can
from workbench.schedule.takeovers import begun, over_image, runs_over

IMPOSSIBLE = 1 << 60  # bytes
Body = tuple[Graph, tuple[str, ...], tuple[str, ...]]  # a sub-graph, and its operands and results


@dataclass(frozen=True)
class Segment:
    """Nodes [begin, end) of the order: the `members` of a region, and those that run `before` and `after` it, by index.

    `axis`: that of the region's tiles. `live`: bytes alive while it runs. `over`: an operand of the region and the
    result that is written over it; () where there is none.
    """

    begin: int
    end: int
    members: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    live: int
    body: Body
    axis: Axis
    over: Pair | tuple[()]


class Segments:
    """All segments of at most `longest` members during which fewer than `limit` bytes live. They are made when needed.
    The limit only falls.

    `fused_away`: values that are never stored, except as the result of a region. `alone`: the same nodes, results over
    operands as later passes have it. `live`: bytes alive while each node runs by itself, as it does in `alone`; a node
    without a kernel cannot. `movable`: images that can lie row by row; `summed`: with those that sums read. `rowwise`:
    nodes that can be members by rows. `plain`: all of these between the ends of a region by rows are its members, and
    no result lies apart. `whole`: images that no region by channels makes or reads.
    """

    def __init__(self, graph: Graph, alone: Graph, longest: int, limit: int, fused_away: frozenset[str]) -> None:
        self.graph, self.longest, self.limit, self.fused_away = graph, longest, limit, fused_away
        self.count = len(graph.nodes)
        known = graph.analysis
        self._before, self._read, self._root = known.ancestors, known.reader_sets, known.root
        self._pieces = _storages(graph)
        self.movable, self.summed = movable(graph) - fused_away, movable(graph, summed=True) - fused_away
        names = (node.results[0] for node in known.work)
        living = dict(zip(names, live_bytes(alone, fused_away), strict=True))
        self.live = [
            living.get(node.results[0], 0) if ops.get(node.op).runs_alone or ops.get(node.op).view else IMPOSSIBLE
            for node in graph.nodes
        ]
        self._makers = [_set_of(known.maker.get(name) for name in node.operands) for node in graph.nodes]
        self._known: dict[tuple[object, ...], Segment | None] = {}
        self.rowwise = frozenset(index for index, node in enumerate(graph.nodes) if self._may_join(node))
        self._take(self.rowwise, plain=False, whole=frozenset())

    def _take(self, rowwise: frozenset[int], plain: bool, whole: frozenset[str]) -> None:
        self.rowwise, self._rowwise_at, self.plain, self.whole = rowwise, sorted(rowwise), plain, whole
        self._from: dict[int, list[Segment]] = {}

    def among(self, nodes: Set[int], plain: bool = False) -> "Segments":
        """The same, by rows with these nodes as members alone, of those that can be; what is found out is shared."""
        other = copy(self)
        other._take(self.rowwise & nodes, plain, self.whole)
        return other

    def beside(self, images: Set[str], limit: int) -> "Segments":
        """The same with a limit of its own, but no region by channels makes or reads one of these images either."""
        other = copy(self)
        other._take(self.rowwise, self.plain, self.whole | images)
        other.limit, other._known = limit, {key: known for key, known in self._known.items() if known}
        return other

    @property
    def unprepared(self) -> frozenset[int]:
        """The nodes that can be members by rows and prepare nothing for each tile: no filter made wider."""
        needs = {index: can(self.graph.nodes[index], Tile("rows"), self.graph.types) for index in self.rowwise}
        return frozenset(at for at, one in needs.items() if isinstance(one, Footprint) and not one.prepares(1))

    def _may_join(self, node: Node) -> bool:
        """Whether a node can work row by row; what adds all rows up, a weight's gradient, if it takes no more than they
        do."""
        needs, types = can(node, Tile("rows"), self.graph.types), self.graph.types
        if isinstance(needs, Refusal):
            return False
        rows = (types[node.operands[at]].bytes for at in needs.reads)
        return needs.gives != "sum" or types[node.results[0]].bytes <= max(rows, default=0)

    def beginning_at(self, begin: int) -> list[Segment]:
        if begin not in self._from:
            chain = self._by_channels(begin)
            fits = chain and not self.whole.intersection((*chain.body[1], *chain.body[2]))
            self._from[begin] = [*self._by_rows(begin), *([chain] if chain and fits else [])]
        return self._from[begin]

    def over(self, nodes: Sequence[int]) -> list[list[Segment]]:
        """At least all segments that hold one of these nodes (sorted), by the index behind their last node."""
        ending: list[list[Segment]] = [[] for _ in range(self.count + 1)]
        for begin in range(self.count):
            at = bisect_left(nodes, begin)
            if at < len(nodes) and nodes[at] < self._furthest(begin):
                for segment in self.beginning_at(begin):
                    ending[segment.end].append(segment)
        return ending

    def _furthest(self, begin: int) -> int:
        """No segment that begins here ends behind this."""
        last = bisect_left(self._rowwise_at, begin) + self.longest - 1
        by_rows = self._rowwise_at[last] + 1 if last < len(self._rowwise_at) else self.count
        return max(by_rows, begin + 3 * self.longest)

    def _by_rows(self, begin: int) -> Iterator[Segment]:
        """Segments that begin at a node, longer and longer."""
        if begin not in self.rowwise:
            return
        inside = 0
        connected: dict[int, int] = {}  # member -> those that values connect it with
        members: list[int] = []
        before: list[int] = []
        after: list[int] = []
        for index in range(begin, self._rowwise_at[-1] + 1):
            depends = self._before[index]
            if index in self.rowwise:
                if any(depends >> other & 1 for other in after):
                    return  # a node that needs the region would have to run before it
                members.append(index)
                inside |= 1 << index
                if len(members) > self.longest:
                    return
                segment = self._segment(begin, index + 1, members, before, after, inside, "rows")
                if segment:
                    yield segment
                with_it = 1 << index
                for other in bits(self._makers[index] & inside & ~with_it):
                    with_it |= connected[other]
                connected.update(dict.fromkeys(bits(with_it), with_it))
                if self.plain or with_it == inside or not with_it >> begin & 1:
                    continue
                if segment := self._among(begin, index + 1, with_it):
                    yield segment
            elif depends & inside:
                after.append(index)
            else:
                before.append(index)

    def _among(self, begin: int, end: int, inside: int) -> Segment | None:
        """The segment [begin, end) with these members alone, by rows. What waits for one of them by a value it makes is
        one of them or cannot be one: none of them waits for it, or there would be no segment of all."""
        others = [index for index in range(begin, end) if not inside >> index & 1]
        before = [index for index in others if not self._before[index] & inside]
        after = [index for index in others if self._before[index] & inside]
        return self._segment(begin, end, list(bits(inside)), before, after, inside, "rows")

    def _by_channels(self, begin: int) -> Segment | None:
        """The longest segment from a node that makes channels to the last that reads some, updates by them included."""
        inside = 0
        members: list[int] = []
        before: list[int] = []
        after: list[int] = []
        sliced: set[str] = set()  # values that exist as channel tiles
        waited = 0  # who reads those, or gradients made of them
        widest = None
        for index in range(begin, min(self.count, begin + 3 * self.longest)):
            node, depends = self.graph.nodes[index], self._before[index]
            if sliced and not waited >> index & 1:
                (after if depends & inside else before).append(index)
                continue
            made = self._by_tiles(node, sliced)
            able = made or self._applies(node, members)
            if not able or len(members) == self.longest or any(depends >> other & 1 for other in after):
                break
            members.append(index)
            inside |= 1 << index
            if made and made.gives == "tile":
                sliced.add(node.results[0])
            if made and made.gives != "sum":
                waited |= self._read[node.results[0]]
            if sliced and all(not self._read[name] & ~inside for name in sliced):
                widest = self._segment(begin, index + 1, members, before, after, inside, "channels") or widest
            if not waited & ~inside:
                break
        return widest

    def _by_tiles(self, node: Node, tiles: set[str]) -> Footprint | None:
        """What a node needs by channels, if it can work so: it reads such tiles, or is the first to make some."""
        of = tuple(index for index, name in enumerate(node.operands) if name in tiles)
        if bool(of) != bool(tiles) or self.graph.types[node.results[0]].rank == 0:
            return None
        needs = can(node, Tile("channels", of), self.graph.types)
        return None if isinstance(needs, Refusal) else needs

    def _applies(self, node: Node, members: list[int]) -> bool:
        """Whether a node updates by a gradient made by one of these, so that the two can be one."""
        value = node.operands[1] if len(node.operands) > 1 else ""
        return any(
            value in self.graph.nodes[at].results and fused_name(self.graph.nodes[at].op, node.op) for at in members
        )

    def _segment(
        self, begin: int, end: int, members: list[int], before: list[int], after: list[int], inside: int,
        axis: Axis,
    ) -> Segment | None:  # fmt: skip
        done = (1 << begin) - 1
        for index in before:
            done |= 1 << index
        outside = {self._root[name] for at in members for name in self.graph.nodes[at].results
                   if self._read[name] & ~inside or name in self.graph.outputs}  # fmt: skip
        least = self._alive_behind(begin, before) + self._made(done, outside)
        if least - max((self._pieces[root].bytes for root in outside if root in self._pieces), default=0) >= self.limit:
            return None
        key = begin, end, inside, axis, self.plain and axis == "rows"
        if key not in self._known:
            self._known[key] = self._new(begin, end, members, before, after, inside, done, axis)
        return self._known[key]

    def _new(
        self, begin: int, end: int, members: list[int], before: list[int], after: list[int], inside: int, done: int,
        axis: Axis,
    ) -> Segment | None:  # fmt: skip
        body = self._body(members, inside, axis)
        pairs = self._pairs(body, inside) if axis == "rows" else self._sums(body, done | inside)
        if len(members) < 2 and (not pairs or self._works_in_place(begin)):
            return None
        live = self._alive_behind(begin, before) + self._made(done, {self._root[name] for name in body[2]})
        if live - max((self._pieces[result].bytes for _, result in pairs), default=0) >= self.limit:
            return None
        plan = cascade(body[0], axis, 1)
        in_order = tuple(self.graph.nodes[at] for at in members)
        if axis == "rows" and isinstance(plan, Refusal) and in_order != body[0].nodes:
            body = body[0].with_nodes(in_order), *body[1:]  # the last image may be of a branch that drives no other
            plan = cascade(body[0], axis, 1)
        if isinstance(plan, Refusal):
            return None
        over: Pair | tuple[()] = ()
        for pair in pairs:
            if found := plan if axis == "channels" else self._over(plan, pair):
                plan, over = found, pair
                break
        live += plan.scratch - (self._pieces[over[1]].bytes if over else 0)
        if live >= self.limit or (len(members) < 2 and not over):
            return None
        return Segment(begin, end, tuple(members), tuple(before), tuple(after), live, body, axis, over)

    def _sums(self, body: Body, done: int) -> list[Pair]:
        """Values that nobody reads once these nodes are done, and the sums that begin at them, in the same place."""
        plan = cascade(body[0], "channels", 1)
        return (
            []
            if isinstance(plan, Refusal)
            else [
                (x, y)
                for y, x in begun(plan).items()
                if not self._read[x] & ~done and self._root[x] in self._pieces and not self._lasts(self._root[x])
            ]
        )

    def _over(self, plan: Cascade, pair: Pair) -> Cascade | None:
        return over_image(plan, *pair) if not self.plain or runs_over(plan, *pair) else None

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

    def _lasts(self, root: str) -> bool:
        """Whether a storage holds an output."""
        return bool(self._pieces[root].users >> self.count)

    def _body(self, members: list[int], inside: int, axis: Axis) -> Body:
        nodes = [self.graph.nodes[index] for index in members]
        made = dict.fromkeys(name for node in nodes for name in node.results)
        operands = tuple(dict.fromkeys(name for node in nodes for name in node.operands if name not in made))
        inner = {node.results[0] for node in nodes if axis == "channels" or node.results[0] not in self._sums_of_rows}
        results = tuple(
            name for name in made
            if name not in inner or self._read[name] & ~inside or name in self.graph.outputs
            or not any(self._read[other] for node in nodes if name in node.results for other in node.results)
        )  # fmt: skip
        types = {name: self.graph.types[name] for name in (*operands, *made)}
        body = Graph(operands, (), self._driven(nodes) if axis == "rows" else tuple(nodes), results, types)
        return fused_everywhere(body) if axis == "channels" else body, operands, results

    def _driven(self, nodes: list[Node]) -> tuple[Node, ...]:
        """The same nodes, the last one that makes an image behind the sums that do not read it. So it is the driver,
        which may read other rows than it makes."""
        at = next((at for at in reversed(range(len(nodes))) if nodes[at].results[0] not in self._sums_of_rows), None)
        if at is None:
            return tuple(nodes)
        made = nodes[at].results
        early = [node for node in nodes[at + 1 :] if not set(made).intersection(node.operands)]
        return (*nodes[:at], *early, nodes[at], *(node for node in nodes[at + 1 :] if node not in early))

    @cached_property
    def _sums_of_rows(self) -> frozenset[str]:
        """What nodes make of all rows together."""
        needs = ((node.results[0], can(node, Tile("rows"), self.graph.types)) for node in self.graph.nodes)
        return frozenset(name for name, one in needs if isinstance(one, Footprint) and one.gives == "sum")

    @cached_property
    def _alive_from(self) -> list[int]:
        """Bytes made before each node of the order and used by it or behind it."""
        change = [0] * (self.count + 2)
        for root, piece in self._pieces.items():
            first = 0 if piece.maker is None else piece.maker + 1
            behind = piece.users.bit_length()  # the last user still finds it
            if root not in self.fused_away and first < behind:
                change[first] += piece.bytes
                change[behind] -= piece.bytes
        return list(accumulate(change))

    @cached_property
    def _touching(self) -> list[list[Piece]]:
        """The storages that each node makes or uses."""
        touching: list[list[Piece]] = [[] for _ in range(self.count)]
        for root, piece in self._pieces.items():
            users = piece.users if root not in self.fused_away else 0
            for index in bits(users & (1 << self.count) - 1):
                touching[index].append(piece)
        return touching

    def _alive_behind(self, begin: int, before: list[int]) -> int:
        """Bytes that are there, and used later, once all nodes before `begin` and those of `before` have run."""
        live, done = self._alive_from[begin], (1 << begin) - 1
        for index in before:
            ran = done | 1 << index
            for piece in self._touching[index]:
                live += piece.bytes * (_is_alive(piece, ran) - _is_alive(piece, done))
            done = ran
        return live

    def _made(self, done: int, results: set[str]) -> int:
        """Bytes of the results that are not there before the region runs."""
        pieces = [self._pieces[root] for root in results if root in self._pieces]
        return sum(piece.bytes for piece in pieces if piece.maker is not None and not done >> piece.maker & 1)


def _set_of(indices: Iterable[int | None]) -> int:
    return sum({1 << index for index in indices if index is not None})


def _is_alive(piece: Piece, done: int) -> bool:
    """Whether a storage is there and used later, once these nodes have run."""
    return bool(piece.users & ~done) and (piece.maker is None or bool(done >> piece.maker & 1))


def _storages(graph: Graph) -> dict[str, Piece]:
    """The storages of the arena, whole, by their first value."""
    whole: dict[str, Piece] = {}
    for piece in graph.analysis.pieces:
        rest = whole.get(piece.root, Piece(piece.root, 0, piece.maker, 0))
        whole[piece.root] = Piece(piece.root, rest.bytes + piece.bytes, piece.maker, rest.users | piece.users)
    return whole
