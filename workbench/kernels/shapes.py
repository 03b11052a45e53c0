"""Kernels that take shapes at run time: one function for all calls of a kernel, which finds its structs in memory.

WB_ONE_FOR_ALL void k_naive_dense_f32(const wb_dense_f32 *p, const float *restrict x, const float *restrict w, …)
{
    naive_dense_f32(*p, x, w, …);
}
"""

import re
from collections.abc import Iterable, Sequence

from workbench.kernels.call import Call, in_lines
from workbench.kernels.declared import header, named

_STRUCT = re.compile(r"(wb_\w+) (\w+)$")  # a parameter that is a struct: its type and name


def name_of(call: Call) -> str:
    """The function for all shapes of a call's kernel."""
    return f"k_{call.function}"


def passed(call: Call, arguments: Sequence[str]) -> list[str]:
    """What it takes in the place of the kernel's own arguments, the record among them: addresses of structs."""
    return [
        f"(const {struct[1]}[]){{ {argument} }}" if (struct := _STRUCT.match(declared)) else argument
        for argument, declared in zip(arguments, _parameters(call), strict=True)
    ]


def declarations(calls: Iterable[Call]) -> str:
    """The declarations of these calls' functions; "" for none."""
    lines = [line for call in calls for line in in_lines(f"{_head(call)};")]
    return "\n".join(["", *lines, ""]) if lines else ""


def file_of(calls: Iterable[Call]) -> str:
    """The text of the file that defines the functions of these calls."""
    calls = list(calls)
    includes = sorted({f'#include "kernels/{call.header}"\n' for call in calls})
    opening = "/* Kernels that take shapes at run time: each is compiled once, and called by all of its instances. */\n"
    return opening + "".join(includes) + "".join(f"\n{_definition(call)}" for call in calls)


def _definition(call: Call) -> str:
    own = ", ".join("*" * bool(_STRUCT.match(each)) + named(each) for each in _parameters(call))
    body = in_lines(f"{call.function}({own});")
    lines = [*in_lines(f"WB_ONE_FOR_ALL {_head(call)}"), "{", *(f"    {line}" for line in body), "}"]
    return "".join(f"{line}\n" for line in lines)


def _head(call: Call) -> str:
    return f"void {name_of(call)}({', '.join(_STRUCT.sub(_POINTER, each) for each in _parameters(call))})"


_POINTER = r"const \1 *\2"


def _parameters(call: Call) -> tuple[str, ...]:
    return header(call.header).declarations[call.function]
