"""What every header of kernels keeps to."""

import re
import subprocess
from pathlib import Path

import pytest

import workbench.schedule
from workbench.ir.op import registered
from workbench.kernels import declared
from workbench.kernels.naive import NAIVE

HEADERS = {path.name: path.read_text() for path in sorted((declared.templates() / "kernels").glob("*.h"))}
MOST = 14  # parameters of a C function; a struct is one


def long_functions(text: str) -> list[str]:
    """The functions of a header that take more than MOST parameters, inner ones and those of macros too."""
    return [name for name, kinds in declared.functions_in(text) if len(kinds) > MOST]


def test_no_function_takes_more_than_a_reader_can_tell_apart():
    found = {name: long_functions(text) for name, text in HEADERS.items()}
    assert not any(found.values()), found


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16])
@pytest.mark.parametrize("form", [
    "WB_KERNEL void f({}) {{ }}",
    "WB_KERNEL const float *f({})\n{{\n}}\n",
    "#define WB_F(NAME, TYPE) \\\nWB_KERNEL void NAME({}) \\\n{{ \\\n}}\n",
    "#define WB_F(SUFFIX) WB_KERNEL int f_##SUFFIX({}) {{ return 1; }}",
    "WB_KERNEL void WB_NAMED(f)({}) /* of WB_ELEMENT */\n{{\n}}\n",
])  # fmt: skip
def test_a_long_function_is_found(form, count):
    parameters = ", ".join(f"const float *restrict x{index}" for index in range(count))
    text = form.format(parameters or "void")
    assert len(declared.functions_in(text)) == 1
    assert bool(long_functions(text)) == (count > MOST)


@pytest.mark.parametrize("name", HEADERS)
def test_every_function_is_seen(name):
    text = re.sub(r"#define (WB_KERNEL .*|\w+ WB_KERNEL$)", "", HEADERS[name], flags=re.M)
    assert len(re.findall(r"\bWB_KERNEL\s", text)) == len(declared.functions_in(text))


def test_every_header_is_used():
    """By a kernel, by a header that is used, by the C that a region becomes, or as the naive loops of a kernel."""
    named = {op.kernel.header for op in registered().values() if op.kernel}
    named.update(name for name, _ in NAIVE.values())
    for path in Path(workbench.schedule.__file__).parent.glob("*.py"):
        named.update(re.findall(r'"(\w+\.h)"', path.read_text()))
    assert declared.sources(named).keys() == HEADERS.keys()


def test_all_headers_go_into_one_file(tmp_path):
    """As in a network that needs them all; those that are made once an element type come by others."""
    (tmp_path / "all.c").write_text("".join(f'#include "{name}"\n' for name in HEADERS if not name.endswith("_each.h")))
    core = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
    checked = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{declared.templates() / 'kernels'}"]
    command = ["arm-none-eabi-gcc", *core, *checked, str(tmp_path / "all.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
