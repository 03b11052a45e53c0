"""The C of a region: each step of a loop makes, stage by stage, a tile (see cascade.py).

By rows, the rows of a value that are there change from call to call: they are variables, which the instances of the
kernels take as parameters.

the rolling buffer of stage 0    float *const v0 = F32(wb_arena + 512, 0); /* conv1: 3 of 8 rows, 1536 bytes */
                                 int first0 = 0, made0 = 0;
stripe by stripe of the driver   for (int row = 0; row < 8; row += 1) {
how far each stage gets              const int end2 = wb_min(row + 1, 8);
                                     const int end0 = wb_min(8, end2 + 1);
drop rows that no stage still reads  first0 = wb_keep_f32((wb_view_f32){ v0, …, first0, made0, 1 }, made2 - 1);
make the new ones                    k_conv2d_f32_0(made0, end0, x0, w, b, v0, first0, mask);
                                     made0 = end0;

By channels all stages go in step, and a view is that of one tile:

tile by tile                     for (int first = 0; first < 192; first += 8) {
the buffer of stage 0                k_conv2d_f32_1(first, x0, w, b, v0);
"""

from dataclasses import replace

from workbench.ir.graph import Node
from workbench.ir.kernel import Reach
from workbench.ir.types import BY_ROWS
from workbench.kernels.call import C_TYPE, CAST, VIEWS, Extent, Number, Places, View, call_of, kernel_of, tiled_by
from workbench.kernels.instances import Instances
from workbench.schedule.cascade import Cascade
from workbench.schedule.region import cascade_of
from workbench.schedule.stages import Stage


def region_lines(region: Node, outer: Places, scratch: str, instances: Instances) -> list[str]:
    """The statements. `outer`: where the region's operands and results are; `scratch`: the address of its scratch."""
    plan = cascade_of(**region.attrs)
    names = dict(zip((*plan.body.inputs, *plan.body.outputs), (*region.operands, *region.results), strict=True))
    address, rest = ({own: found[name] for own, name in names.items() if name in found}
                     for found in (outer.address, outer.rest))  # fmt: skip
    by_rows = {own for own, name in names.items() if outer.types[name].layout == BY_ROWS}
    writer = _Writer(plan, Places(plan.body.types, address, rest), by_rows, scratch, instances)
    return [*writer.zeros(), *(writer.in_step() if plan.along.in_step else writer.rolling())]


class _Writer:
    """C names: v3 is where what stage 3 makes lies, of which rows [first3, made3) are there, and end3 is how far it
    gets in a step; x0 is where an operand lies, n the image of the batch.

    `own`: value with a buffer or a place of its own -> its name in C. What is written over it shares that.
    """

    def __init__(self, plan: Cascade, outer: Places, by_rows: set[str], scratch: str, instances: Instances) -> None:
        self.plan, self.types, self.by_rows, self.scratch = plan, plan.body.types, by_rows, scratch
        self.instances = instances
        self.outer = outer
        self.own = {value: f"v{index}" for value, index in plan.makers.items() if not self._shares(value)}
        if not plan.along.in_step:
            read = dict.fromkeys(name for stage in plan.stages for name, _ in stage.reads if name in plan.body.inputs)
            self.own |= {name: f"x{index}" for index, name in enumerate(read)}
        views = {value: self._there(value) for value in (*plan.home, *self.own)}
        self.places = replace(outer, views=views)
        self.image: tuple[Number, Number] = ("n", "n + 1") if plan.batch > 1 else (0, 1)

    def _shares(self, value: str) -> bool:
        """Whether its view is that of the value whose buffer it lies in; not if it is but some channels of that."""
        home = self.plan.home[value]
        return value != home and self.types[value].shape == self.types[home].shape

    def zeros(self) -> list[str]:
        """Clear masks, whose bits are set tile by tile; let reductions begin at zero, or at what they add to."""
        address, lines = self.places.address, list[str]()
        for stage in self.plan.stages:
            bits = (name for name in stage.node.results if self.types[name].dtype == "bit")
            lines += [f"wb_zero_words({self.types[name].bytes // 4}, {address[name]});" for name in bits]
            result, begins = stage.node.results[0], stage.needs.begins
            if stage.needs.gives == "sum" and begins is None and not stage.needs.lasting:
                lines.append(f"wb_zero_f32({self.types[result].elements}, {address[result]});")
            elif begins is not None and address[source := stage.node.operands[begins]] != address[result]:
                lines.append(f"wb_copy_f32({self.types[result].elements}, {address[source]}, {address[result]});")
        return lines

    def in_step(self) -> list[str]:
        """The loop of which each step makes the same channels of all values."""
        plan, stages = self.plan, self.plan.stages
        lines = [f"for (int first = 0; first < {plan.extent}; first += {plan.step}) {{"]
        for stage in stages:
            if stage.needs.code:
                call = self._call(stage, "first", self._end_in_step(stage))
                lines += map(_indented, [f"if (first < {stage.extent})", *map(_indented, call)]
                             if stage.extent < plan.extent else call)  # fmt: skip
        return [*self._buffers(), *lines, "}"]

    def _buffers(self) -> list[str]:
        """Where each value lies, and what is there of it, for people."""
        lines = []
        for value, name in self.own.items():
            plan, kind = self.plan, self.types[value]
            home = plan.home.get(value, value)
            of = kind.shape[plan.along.dimension]
            there, label = plan.kept.get(home, of), plan.body.label(value)
            size = kind.bytes // kind.shape[0] * there // of
            at = self.outer.address.get(home) or f"{CAST[kind.dtype]}({self.scratch}, {plan.offsets[home]})"
            what = f"{'' if label == value else f'{label}: '}{there} of {of} {plan.axis}, {size} bytes"
            const = "" if value in plan.makers else "const "
            lines.append(f"{const}{C_TYPE[kind.dtype]} *const {name} = {at}; /* {what} */")
        return lines

    def _end_in_step(self, stage: Stage) -> str:
        end = f"first + {self.plan.step}"
        return end if stage.extent == self.plan.extent else f"wb_min({end}, {stage.extent})"

    def _there(self, value: str) -> View:
        """What is there of a value."""
        plan = self.plan
        if plan.along.in_step:
            home = plan.home.get(value, value)
            shared = value if value in self.own else home
            return self._view(value if value in self.own else home, "first",
                              self._end_in_step(plan.stages[plan.makers[shared]]))  # fmt: skip
        owner = value if value in self.own else plan.home[value]
        if value in plan.makers:
            return self._view(owner, self._first_there(value), self._made(plan.makers[value]))
        return self._view(owner, 0, self.types[value].shape[2])

    def _first_there(self, value: str) -> str:
        home = self.plan.home[value]
        return f"first{self.plan.makers[home]}" if home in self.plan.kept else "0"

    def rolling(self) -> list[str]:
        """The loop of which each step makes the rows that the driver's next ones need, for each image of the batch."""
        plan = self.plan
        made = [
            self._made(index)
            for index, stage in enumerate(plan.stages)
            if plan.home.get(stage.value) in (stage.value, None)
        ]
        counters = [*(self._first_there(value) for value in plan.kept), *made]
        start = f"int {', '.join(f'{counter} = 0' for counter in counters)};"
        loop = [start, *self._steps()]
        if plan.batch > 1:
            loop = [f"for (int n = 0; n < {plan.batch}; ++n) {{", *map(_indented, loop), "}"]
        return [*self._buffers(), *loop]

    def _steps(self) -> list[str]:
        plan = self.plan
        first = -plan.step if plan.lead else 0
        lines = [f"for (int row = {first}; row < {plan.extent}; row += {plan.step}) {{", *map(_indented, self._ends())]
        for index, stage in enumerate(plan.stages):
            home = plan.home.get(stage.value, "")
            if home in plan.kept and not any(plan.home.get(name) == home for name, _ in stage.reads):
                kind, view = VIEWS[self.types[home].dtype], self.places.views[home]
                there = f"(wb_view_{kind}){{ {', '.join(map(str, (view.at, *view.numbers.values())))} }}"
                keep = f"wb_keep_{kind}({there}, {self._keep(home)})"
                lines.append(f"    {self._first_there(home)} = {keep};")
            lines += map(_indented, self._call(stage, self._made(index), f"end{index}"))
            if home == stage.value:
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
            text = f"wb_min({stage.extent}, {_nested('wb_max', [_end(reach, f'end{at}') for at, reach in readers])})"
            if all(reach.end(stages[at].extent) < stage.extent for at, reach in readers):
                text = f"end{driver} == {last} ? {stage.extent} : {text}"
            text = f"row < 0 ? {plan.lead[index]} : {text}" if plan.lead else text
            lines.append(f"const int end{index} = {text};")
        for index, stage in enumerate(stages):
            if stage.follows:
                ends = [f"end{plan.makers[name]}" for name, _ in stage.reads if name in plan.makers]
                lines.append(f"const int end{index} = {_nested('wb_min', ends)};")
        return lines

    def _keep(self, value: str) -> str:
        """The first row that a stage will still read; followers have read all. It may not exist yet: wb_keep sees to
        that."""
        readers = self.plan.readers(value, follow=False)
        firsts = [_first(reach, self._made(at)) for at, reach in readers]
        return _nested("wb_min", firsts or [self._made(self.plan.makers[value])])

    def _made(self, index: int) -> str:
        """How many rows a stage has made so far. What is written over another value has made as many as that."""
        value = self.plan.stages[index].value
        return f"made{self.plan.makers[self.plan.home[value]] if value else index}"

    def _call(self, stage: Stage, begin: str, end: str) -> list[str]:
        """The call that makes [begin, end) of what a stage makes."""
        node, plan = stage.node, self.plan
        begin_of_scratch = plan.lasting.get(node.results[0], plan.inner)
        scratch = [f"{self.scratch} + {begin_of_scratch}"] * bool(stage.needs.scratch(plan.step))
        call = call_of(node, self.places, self._tile(stage, begin, end), scratch, stage.needs.begins, plan.axis)
        return [f"/* {node.label or node.op} */", *self.instances.call(call)]

    def _tile(self, stage: Stage, begin: Number, end: Number) -> Extent:
        """A sum's tile is that of the operand which it reduces; where that is a view, too, all of the result.

        What begins at 0 does not say so.
        """
        _, channels, rows, _ = self.types[tiled_by(stage.node)].as_images
        everything = stage.needs.gives == "sum" and kernel_of(stage.node, inside=True).gives_view
        tile: tuple[Number, Number] = (begin, end)
        channel = tile if self.plan.axis == "channels" and not everything else (0, channels)
        row = tile if self.plan.axis == "rows" and not everything else (0, rows)
        return Extent(*self.image, *channel, *row, begun=int(stage.needs.gives == "sum"))

    def _view(self, value: str, begin: Number, end: Number) -> View:
        """[begin, end) of a value."""
        plan, kind = self.plan, self.types[value]
        _, channels, rows, columns = kind.shape
        home = plan.home.get(value, value)
        there = plan.kept.get(home, kind.shape[plan.along.dimension])
        room = {"channels": channels, "rows": rows, plan.axis: there}
        plane, pitch = (columns, channels * columns) if value in self.by_rows else (room["rows"] * columns, columns)
        image = 0 if home in plan.kept else channels * rows * columns  # a buffer is of one image at a time
        channel, row = ((begin, end), (0, rows)) if plan.axis == "channels" else ((0, channels), (begin, end))
        return View(kind.dtype, self.own[value], image, plane, pitch, *channel, *row, gaps=int(plan.gaps(home)))


def _end(reach: Reach, end: str) -> str:
    if reach.over == 1:
        return _plus(_times(end, reach.by), reach.high + 1 - reach.by)
    return f"({_plus(_times(end, reach.by), reach.high - reach.by)}) / {reach.over} + 1"


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
