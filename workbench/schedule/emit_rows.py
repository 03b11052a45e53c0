"""The C of a region in stripes: each step of a loop makes, stage by stage, the rows it needs (see strips.py).

the rolling buffer of stage 0    wb_rows v0 = { F32(wb_arena + 512, 0), 24, 8, 0, 0, 1 };
stripe by stripe of the driver   for (int row = 0; row < 8; row += 1) {
how far each stage gets              const int end2 = wb_min(row + 1, 8);
                                     const int end0 = wb_min(8, end2 + 1);
drop rows that no stage still reads  wb_keep(&v0, 16, 8, v2.end - 1);
make the new ones                    conv2d_rows_f32(…, v0.end, end0, x0, …, v0, mask);
                                     v0.end = end0;
"""

from collections.abc import Sequence

from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.kernel import Reach
from workbench.kernels.call import VIEWS, call, no_view, whole
from workbench.schedule.cascade import Cascade
from workbench.schedule.region import cascade_of
from workbench.schedule.stages import Stage


def region_headers(body: Graph) -> list[str]:
    found = [ops.get(node.op) for node in body.nodes]
    tiled = [op.kernel.header for op in found if op.kernel and op.kernel.tiled]
    return ["rows_s8.h", "tiles_of_rows.h", *tiled, *(op.rows.header for op in found if op.rows and op.rows.header)]


def region_body(body: Graph, rows: int, outer: dict[str, str], by_rows: set[str], scratch: str) -> str:
    """The statements. `outer`: an input or output of the body -> its address; `by_rows`: those that lie row by row;
    `scratch`: the address of the rolling buffers."""
    plan = cascade_of(body, "rows", rows)
    write = _Writer(plan, outer, by_rows, scratch)
    lines = [*write.declarations(), *write.zeros()]
    batched = plan.batch > 1
    if batched:
        lines.append(f"for (int n = 0; n < {plan.batch}; ++n) {{")
        lines += [f"    {line}" for line in write.next_image()]
    lines += [("    " if batched else "") + line for line in write.loop()]
    lines += ["}"] * batched
    return "".join(f"    {line}\n" for line in lines)


class _Writer:
    """C names: v3 holds the rows of stage 3, x0 an image that the region reads, end3 is how far stage 3 gets."""

    def __init__(self, plan: Cascade, outer: dict[str, str], by_rows: set[str], scratch: str):
        self.plan, self.body, self.outer, self.by_rows, self.scratch = plan, plan.body, outer, by_rows, scratch
        own = {stage.value: f"v{index}" for index, stage in enumerate(plan.stages) if stage.value}
        self.strip = {image: strip for image, strip in own.items() if plan.home[image] == image}
        read = dict.fromkeys(name for stage in plan.stages for name, _ in stage.reads if name in self.body.inputs)
        self.strip |= {name: f"x{index}" for index, name in enumerate(read)}
        self.over = {image: self.strip[home] for image, home in plan.home.items()}
        self.over |= {name: self.strip[name] for name in read}  # image -> name of the rows it lies in
        self.whole = [name for name in self.strip if name not in plan.kept]
        self.counting = [index for index, stage in enumerate(plan.stages) if not stage.value]

    def declarations(self) -> list[str]:
        lines, offset = [], 0
        for name, strip in self.strip.items():
            _, channels, height, width = self.body.types[name].shape
            rows = self.plan.kept.get(name, height)
            is_int8 = self.body.types[name].dtype == "int8"
            address = self.outer.get(name, f"{'I8' if is_int8 else 'F32'}({self.scratch}, {offset})")
            end = height if name in self.body.inputs else 0
            plane, pitch = (width, channels * width) if name in self.by_rows else (rows * width, width)
            what = f"{channels} channels, {rows} of {height} rows of {width}"
            what = f"{label}: {what}" if (label := self.body.label(name)) != name else what
            kind, gaps = ("wb_rows_s8", "") if is_int8 else ("wb_rows", f", {int(self.plan.gaps(name))}")
            lines.append(f"{kind} {strip} = {{ {address}, {plane}, {pitch}, 0, {end}{gaps} }}; /* {what} */")
            if name in self.plan.kept:
                offset += self.plan.bytes_of(name, self.plan.kept[name])
        return lines + [f"int {self._made(index)} = 0;" for index in self.counting]

    def zeros(self) -> list[str]:
        """Clear masks, whose bits are set row by row, and the results of reductions."""
        lines = []
        for name in self.body.outputs:
            kind = self.body.types[name]
            if kind.dtype == "bit":
                lines.append(f"wb_zero_words({kind.bytes // 4}, {self.outer[name]});")
            elif name not in self.strip and kind.dtype == "float32":
                lines.append(f"wb_zero_f32({kind.elements}, {self.outer[name]});")
        return lines

    def next_image(self) -> list[str]:
        """Point at the rows of the n-th image; the region has made none of its own yet."""
        lines = []
        for name, strip in self.strip.items():
            if name in self.whole:
                lines.append(f"{strip}.at = {self.outer[name]} + n * {self._elements(name)};")
            if name not in self.body.inputs:
                lines.append(f"{strip}.first = {strip}.end = 0;")
        return lines + [f"{self._made(index)} = 0;" for index in self.counting]

    def loop(self) -> list[str]:
        plan, height = self.plan, self.plan.extent
        lines = [f"for (int row = 0; row < {height}; row += {plan.step}) {{", *map(_indented, self._ends())]
        for index, stage in enumerate(plan.stages):
            lines.append(f"    /* {stage.node.label or stage.node.op} */")
            home = plan.home.get(stage.value, "")
            if home in plan.kept and not any(plan.home.get(name) == home for name, _ in stage.reads):
                _, channels, _, width = self.body.types[home].shape
                kind = "_s8" if self.body.types[home].dtype == "int8" else ""
                lines.append(f"    wb_keep{kind}(&{self.strip[home]}, {channels}, {width}, {self._keep(home)});")
            lines += map(_indented, self._call(index))
            if home == stage.value or not stage.value:
                lines.append(f"    {self._made(index)} = end{index};")
        return [*lines, "}"]

    def _ends(self) -> list[str]:
        """end3: after this step stage 3 has made all rows before it."""
        plan, stages = self.plan, self.plan.stages
        driver, last = len(stages) - 1, plan.extent
        lines = [f"const int end{driver} = wb_min(row + {plan.step}, {last});"]
        for index in reversed(range(driver)):
            stage = stages[index]
            if stage.follows:
                continue
            readers = plan.readers(stage.value, follow=False)
            needs = [_end(reach, f"end{at}") for at, reach in readers]
            text = f"wb_min({stage.extent}, {_nested('wb_max', needs)})"
            if all(reach.end(stages[at].extent) < stage.extent for at, reach in readers):
                text = f"end{driver} == {last} ? {stage.extent} : {text}"
            lines.append(f"const int end{index} = {text};")
        for index, stage in enumerate(stages):
            if stage.follows:
                ends = [f"end{at}" for name, _ in stage.reads if (at := plan.makers.get(name)) is not None]
                lines.append(f"const int end{index} = {_nested('wb_min', ends)};")
        return lines

    def _keep(self, name: str) -> str:
        """The first row that a stage will still read; followers have read all. It may not exist yet: wb_keep sees to
        that."""
        readers = self.plan.readers(name, follow=False)
        return _nested(
            "wb_min", [_first(reach, self._made(at)) for at, reach in readers] or [f"{self.strip[name]}.end"]
        )

    def _made(self, index: int) -> str:
        """How many rows a stage has done so far: the end of its image; without an image, a counter."""
        stage = self.plan.stages[index]
        return f"{self.over[stage.value]}.end" if stage.value else f"done{index}"

    def _tiled(self, stage: Stage, begin: str, end: str) -> list[str]:
        node, types, op = stage.node, self.body.types, ops.get(stage.node.op)
        kernel, kinds = op.needed_kernel, [types[name] for name in node.operands]

        def view(name: str) -> str:
            if name not in self.over:
                return whole(types[name], self.outer[name])
            kind = VIEWS[types[name].dtype]
            return f"wb_view_of_rows_{kind}({self.over[name]}, {types[name].shape[1]})"

        operands = [
            view(name) if at in kernel.views else self.outer[name]
            for at, name in enumerate(node.operands) if types[name].bytes
        ]  # fmt: skip
        missing = range(len(operands), kernel.operands)
        operands += [no_view(kinds[0]) if at in kernel.views else "0" for at in missing]
        for at in kernel.split:
            if "," not in operands[at] or operands[at].endswith(")"):
                operands[at] += ", 0"
        results = [self.over[name] if name == stage.value else self.outer[name] for name in node.results]
        if kernel.gives_view:
            results[0] = view(node.results[0])
        results += ["0"] * (kernel.results - len(results))
        _, channels, *_ = (types[node.results[0]] if kernel.gives_view else kinds[kernel.views[0]]).as_images
        image = "n" if self.plan.batch > 1 else "0"
        begun = int(stage.needs.gives == "sum")
        tile = f"(wb_tile){{ {image}, {image} + 1, 0, {channels}, {begin}, {end}, {begun} }}"
        return call(kernel, kinds, node.attrs, [tile, *operands, *results])

    def _call(self, index: int) -> Sequence[str]:
        stage = self.plan.stages[index]
        if (kernel := ops.get(stage.node.op).kernel) and kernel.tiled:
            return self._tiled(stage, self._made(index), f"end{index}")
        node, rows, types = stage.node, ops.get(stage.node.op).rows, self.body.types
        assert rows is not None
        kinds = [types[name] for name in node.operands]
        function = rows.function if isinstance(rows.function, str) else rows.function(*kinds, **node.attrs)
        operands = [
            self.over[name] if at in rows.images
            else self._whole(name, types[name].dtype == "bit" or at in rows.parted)
            for at, name in enumerate(node.operands) if types[name].bytes
        ]  # fmt: skip
        missing = range(len(operands), rows.operands)
        operands += ["wb_no_rows" if at in rows.images else "0" for at in missing]
        results = [
            self.over[name] if name == stage.value else self._whole(name, types[name].rank == 4)
            for name in node.results
        ]
        results += ["wb_no_bits"] * (rows.results - len(results))
        numbers = [*map(str, rows.literals(*kinds, **node.attrs)), self._made(index), f"end{index}"]
        return f"{function}({', '.join(numbers)},", f"    {', '.join([*operands, *results])});"

    def _whole(self, name: str, parted: bool) -> str:
        """The address of a value that is not made or read in stripes; `parted`: each image has its own part of it."""
        parted = parted and self.plan.batch > 1
        if self.body.types[name].dtype == "bit":
            return f"(wb_bits){{ {self.outer[name]}, {f'n * {self._elements(name)}' if parted else 0} }}"
        return self.outer[name] + (f" + n * {self._elements(name)}" if parted else "")

    def _elements(self, name: str) -> int:
        return self.body.types[name].elements // self.plan.batch


def _end(reach: Reach, end: str) -> str:
    if reach.over == 1:
        return _plus(_times(end, reach.by), reach.high + 1 - reach.by)
    return f"({_plus(end, reach.high - 1)}) / {reach.over} + 1"


def _first(reach: Reach, row: str) -> str:
    text = _plus(_times(row, reach.by), reach.low)
    return text if reach.over == 1 else f"wb_ceil_div({text}, {reach.over})"


def _times(text: str, factor: int) -> str:
    return text if factor == 1 else f"{text} * {factor}"


def _plus(text: str, number: int) -> str:
    return f"{text} {'-' if number < 0 else '+'} {abs(number)}" if number else text


def _nested(function: str, values: list[str]) -> str:
    """`function` (wb_min or wb_max) of several values."""
    *others, text = dict.fromkeys(values)
    for value in reversed(others):
        text = f"{function}({value}, {text})"
    return text


def _indented(line: str) -> str:
    return f"    {line}"
