"""Kernel instances: one C function for each set of literals that a kernel is called with.

    WB_INSTANCE void k_relu_f32_2(int row, int row_end, float *x, int x_row, float *y)
    {
        relu_f32((wb_shape){ .channels = 8, … }, (wb_tile){ .image_end = 1, .channel_end = 8, .row = row, … },
            (wb_view_f32){ x, 0, 24, 8, 0, 8, x_row, row, 0 }, …);
    }

Addresses, and what changes from tile to tile, are its parameters; all else is literal, so loops unroll and tests fold.
Every operator and every stage that makes such a call calls the same function: it has the registers to itself, and is
compiled, stored and measured once.

Where naive loops (naive.py) take shapes at run time, an instance hands its literals to one function (shapes.py):

    WB_INSTANCE void k_naive_conv2d_f32_0(const float *x, const float *w, float *y)
    {
        k_naive_conv2d_f32((const wb_conv2d_f32[]){ (wb_conv2d_f32){ … } }, …, w, 0, 0, …);
    }
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields

from workbench.kernels import shapes
from workbench.kernels.call import C_TYPE, VIEWS, Address, Argument, Call, Extent, Number, View, in_lines
from workbench.kernels.declared import header, named
from workbench.kernels.naive import SHAPES, naive_call

INSTANCES_A_FILE = 25
_VARIABLE = re.compile(r"([A-Za-z_]\w*)( [+-] \d+)?")  # and what is added to it, which stays literal


class Instances:
    """The instances that a project needs; it gets to know them call by call. `loops`: "", the library's kernels; or one
    of naive.LOOPS in the place of those that have such."""

    def __init__(self, loops: str = "") -> None:
        self._loops = loops
        self._shared: dict[str, Call] = {}  # the name of a function for all shapes -> a call of its kernel
        self._names: dict[str, str] = {}  # an instance's text without its name -> its name
        self._headers: dict[str, str] = {}  # name -> the kernel header that it needs
        self.literals: dict[str, str] = {}  # name -> what its schedule was chosen by, where there is a choice
        self._count = Counter[str]()

    def call(self, call: Call) -> list[str]:
        """The lines of the statement that makes a call."""
        signature, naive = _Signature(), naive_call(call) if self._loops else None
        call = naive or call
        declared = header(call.header).declarations[call.function]
        inner = [signature.add(each, text) for each, text in zip(call.arguments, declared[1:], strict=True)]
        called, passed = call.function, [call.record, *inner]
        if naive and self._loops == SHAPES:
            called, passed = shapes.name_of(call), shapes.passed(call, passed)
            self._shared[called] = call
        body = in_lines(f"{called}({', '.join(passed)});")
        parameters = ", ".join(signature.parameters) or "void"
        text = f"({parameters})\n{{\n" + "".join(f"    {line}\n" for line in body) + "}\n"
        key = f"{call.function}{text}"
        if key not in self._names:
            self._names[key] = f"k_{call.function}_{self._count[call.function]}"
            self._headers[self._names[key]] = call.header
            if call.literals:
                self.literals[self._names[key]] = call.literals
            self._count[call.function] += 1
        return in_lines(f"{self._names[key]}({', '.join(signature.arguments)});")

    def headers(self) -> set[str]:
        """The kernel headers that the instances need."""
        return set(self._headers.values())

    def files(self) -> dict[str, str]:
        """instances.h, which declares them, and the files that define them: name -> text."""
        texts = {name: f"{name}{key[key.index('(') :]}" for key, name in self._names.items()}
        declarations = [f"void {text.partition(chr(10))[0]};" for text in texts.values()]
        files = {
            "instances.h": "/* instances.h - the kernels, one for each set of sizes: see instances_0.c. */\n"
            "#ifndef INSTANCES_H\n#define INSTANCES_H\n\n#include <stdint.h>\n\n"
            + "".join(f"{line}\n" for each in declarations for line in in_lines(each))
            + "\n#endif\n"
        }
        names = list(texts)
        for number, start in enumerate(range(0, len(names), INSTANCES_A_FILE)):
            part = names[start : start + INSTANCES_A_FILE]
            files[f"instances_{number}.c"] = (
                "/* Kernels: each is compiled once, and called by all operators that need it. */\n"
                + '#include "instances.h"\n'
                + included(self._headers[name] for name in part)
                + self._declarations_for(part)
                + "".join(f"\n{_definition(texts[name])}" for name in part)
            )
        return files | ({"shapes.c": shapes.file_of(self._shared.values())} if self._shared else {})

    def _declarations_for(self, names: Iterable[str]) -> str:
        """Of the functions for all shapes that these instances may call."""
        headers = {self._headers[name] for name in names}
        return shapes.declarations(call for call in self._shared.values() if call.header in headers)


def included(names: Iterable[str]) -> str:
    """The lines that include these kernel headers."""
    return "".join(f'#include "kernels/{name}"\n' for name in sorted(set(names)))


def _definition(text: str) -> str:
    first, _, rest = text.partition("\n")
    return "\n".join([*in_lines(f"WB_INSTANCE void {first}"), rest])


class _Signature:
    """What an instance takes, and what its caller passes for that."""

    def __init__(self) -> None:
        self.parameters: list[str] = []
        self.arguments: list[str] = []
        self._names: dict[str, str] = {}  # a variable of the caller -> the parameter it is passed as

    def add(self, argument: Argument, declaration: str) -> str:
        """Adds what an argument needs of the caller; gives the argument as it stands in the instance."""
        name = named(declaration)
        if argument is None:
            view = re.match(r"wb_view_\w+", declaration)
            return f"({view[0]}){{ 0 }}" if view else "0"
        if isinstance(argument, Extent):
            return self._tile(argument)
        if isinstance(argument, View):
            return self._view(argument, name)
        if argument.several:
            return self._several(argument, name)
        const = "const " if declaration.startswith("const ") else ""
        return self._passed(f"{const}{argument.of} *{name}", argument.at)

    def _passed(self, parameter: str, argument: str) -> str:
        self.parameters.append(parameter)
        self.arguments.append(argument)
        return named(parameter)

    def _several(self, argument: Address, name: str) -> str:
        each = [self._passed(f"const {argument.of} *{name}{i}", at) for i, at in enumerate(argument.several)]
        return f"(const {argument.of} *const[]){{ {', '.join(each)} }}"

    def _tile(self, tile: Extent) -> str:
        if tile == Extent(0, tile.image_end, 0, tile.channel_end, 0, tile.row_end) and isinstance(tile.row_end, int):
            return f"wb_everything({tile.image_end}, {tile.channel_end}, {tile.row_end})"
        parts = {each.name: self._number(getattr(tile, each.name), each.name) for each in fields(tile)}
        return f"(wb_tile){{ {', '.join(f'.{name} = {part}' for name, part in parts.items() if part != '0')} }}"

    def _view(self, view: View, name: str) -> str:
        kind, element = VIEWS[view.dtype], C_TYPE[view.dtype]
        at = self._passed(f"{'const ' * view.read}{element} *{name}", view.at)
        if _is_whole(view):
            return f"wb_image_{kind}({at}, {view.channel_end}, {view.row_end}, {view.pitch})"
        parts = [self._number(number, f"{name}_{which}") for which, number in view.numbers.items()]
        return f"(wb_view_{kind}){{ {f'({element} *)' * view.read}{', '.join([at, *parts])} }}"

    def _number(self, number: Number, name: str) -> str:
        """A number as it stands in the instance: a literal, a parameter, or a parameter and a literal."""
        if isinstance(number, int):
            return str(number)
        if number.lstrip("-").isdigit():
            return number
        found = _VARIABLE.fullmatch(number)
        variable, added = (found[1], found[2] or "") if found else (number, "")
        if variable not in self._names:
            self._names[variable] = self._passed(f"int {name}", variable)
        return self._names[variable] + added


def _is_whole(view: View) -> bool:
    return (
        all(isinstance(number, int) for number in view.numbers.values())
        and (view.channel, view.row, view.gaps) == (0, 0, 0)
        and view.plane == view.row_end * view.pitch  # type: ignore[operator]
        and view.image == view.channel_end * view.plane  # type: ignore[operator]
    )
