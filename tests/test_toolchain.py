"""From project to image: reproducible, told when it does not fit, with a stack reserve that holds."""

import re
import subprocess
import tempfile
from dataclasses import replace

import pytest

from workbench import boards, frontends, session, toolchain
from workbench.errors import BudgetError, InternalError, ToolchainError
from workbench.frontends.layers import Network
from workbench.session import require_fit
from workbench.toolchain import sizes
from workbench.toolchain.machine_code import MachineCode

BOARD = boards.get("nrf52840")


def built(tmp_path, board=BOARD, name="mlp", virtual=True):
    return session.build(session.compile(frontends.load(name), schedule="reordered"), board, tmp_path, virtual)


def test_the_folder_builds_by_itself_to_the_same_bytes_wherever_it_lies(tmp_path, monkeypatch):
    odd = tmp_path / """o'brien "a" $HOME `ls` #ü:=\\%*;"""
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    monkeypatch.setenv("WORKBENCH_CACHE", str(odd / "cache"))
    image = built(odd / "here").image
    assert len(list((odd / "cache").iterdir())) == 1
    first = image.elf.read_bytes()
    assert str(tmp_path).encode() not in first
    moved = (odd / "here").rename(tmp_path / "else where")
    (moved / "firmware.elf").unlink()
    subprocess.run(["make", "-j2"], cwd=moved, check=True, capture_output=True)
    assert (moved / "firmware.elf").read_bytes() == first


def test_an_image_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    image = built(tmp_path / "one").image
    monkeypatch.setattr(toolchain, "_compile", lambda *_: pytest.fail("compiled again"))
    again = built(tmp_path / "two").image
    assert again.elf.read_bytes() == image.elf.read_bytes()
    assert (again.flash, again.static, again.stack_reserve) == (image.flash, image.static, image.stack_reserve)


def test_static_is_what_is_below_the_arena(tmp_path):
    result = built(tmp_path)
    rows = [row for row in result.project.buffers if row.storage == "sram"]
    assert sum(row.size for row in rows) <= result.image.static <= sum(row.size for row in rows) + 16


def test_what_does_not_fit_is_linked_for_the_twin_and_refused(tmp_path):
    # the stack does not fit; the linker itself refuses
    for sram, policy in ((30 * 1024, "last-2 needs about 17.8 KB"), (4 * 1024, "last-1 needs about 2.7 KB")):
        result = built(tmp_path / str(sram), BOARD.with_sram(sram))
        assert result.image.board.name == "virtual-m4"
        with pytest.raises(BudgetError) as caught:
            require_fit(result)
        assert caught.value.exit_code == 3
        assert "mlp needs 42." in str(caught.value)
        assert "d.fc1.weight 16 KB" in str(caught.value)
        assert f"--policy {policy}; --policy bias-only+head needs about 3.3 KB" in str(caught.value)
    require_fit(built(tmp_path / "fits"))


def test_the_limit_is_exact(tmp_path):
    fits = built(tmp_path / "a")
    needed = fits.image.static + fits.compiled.memory.plan.bytes + fits.image.stack_reserve
    whole = -(-needed // 1024) * 1024
    require_fit(built(tmp_path / "b", BOARD.with_sram(whole)))
    with pytest.raises(BudgetError):
        require_fit(built(tmp_path / "c", BOARD.with_sram(whole - 1024)))


def test_flash_that_is_too_small_is_refused(tmp_path):
    small = BOARD.with_region("flash", size=16 * 1024)
    result = built(tmp_path / "firmware", small)
    assert result.image.board.name == "virtual-m4"
    with pytest.raises(BudgetError, match=r"mlp needs 30 KB of flash; nrf52840 has 16 KB"):
        require_fit(result)


def test_flash_is_told_first_where_sram_is_too_small_as_well(tmp_path):
    result = built(tmp_path / "firmware", BOARD.with_region("flash", size=16 * 1024).with_sram(8 * 1024))
    with pytest.raises(
        BudgetError, match=r"mlp needs [\d.]+ KB of flash; .* 16 KB\n  and 42.* KB of SRAM; it has 8 KB"
    ):
        require_fit(result)


def test_what_cannot_fit_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    compiled, compile_ = [], toolchain._compile
    monkeypatch.setattr(
        toolchain, "_compile", lambda files, board: compiled.append(board.name) or compile_(files, board)
    )
    built(tmp_path / "one", BOARD.with_sram(4 * 1024))
    assert compiled == ["virtual-m4"]


def test_a_refused_build_leaves_nothing_behind(tmp_path):
    fits = built(tmp_path / "fits")
    but_for_its_stack = BOARD.with_region("sram", size=fits.image.static + fits.compiled.memory.plan.bytes)
    with pytest.raises(BudgetError, match=r"mlp needs 42\.2 KB of SRAM; .*\n  static .*, arena .*, stack \d+ B\n"):
        built(tmp_path / "firmware", but_for_its_stack, virtual=False)
    assert not (tmp_path / "firmware").exists()


@pytest.mark.parametrize(
    ("small", "words"),
    [
        (
            BOARD.with_sram(8 * 1024),
            r"mlp needs 42\.2 KB of SRAM, and its stack on top; .*\n  static 25\.7 KB, arena 16\.\d KB\n  worst "
            r"(.|\n)*help: --policy last-1 needs about 2\.7 KB; .*; the stack comes on top$",
        ),
        (
            BOARD.with_region("flash", size=16 * 1024),
            r"mlp needs 25\.\d KB of flash, and its code on top; nrf52840 has 16 KB\n  help: --board virtual-m4",
        ),
    ],
    ids=["sram", "flash"],
)
def test_what_cannot_fit_is_refused_before_anything_is_compiled(small, words, tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "_compile", lambda *_: pytest.fail("compiled"))
    monkeypatch.setattr(toolchain.cache, "kept", lambda key: pytest.fail("asked for an image"))
    with pytest.raises(BudgetError, match=words) as caught:
        built(tmp_path / "firmware", small, virtual=False)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "firmware").exists()


def test_c_that_gcc_refuses_is_our_error_with_its_words(tmp_path):
    result = built(tmp_path / "good")
    bad = {**result.project.files, "main.c": "int main(void) { return nothing; }\n"}
    with pytest.raises(InternalError, match="nothing"):
        toolchain.build(toolchain.Project(bad, (), ()), BOARD, tmp_path / "bad", 0)


def test_a_warning_stops_the_tests_alone(tmp_path, monkeypatch):
    plain = built(tmp_path / "plain")
    files = plain.project.files
    warned = replace(plain.project, files={**files, "main.c": files["main.c"] + "static int idle;\n"})
    with pytest.raises(InternalError, match=r"main\.c:\d+:12: error: 'idle' .* \[-Werror=unused-variable"):
        toolchain.make_image(warned, BOARD, 0)
    monkeypatch.delenv("WORKBENCH_WERROR")
    assert toolchain.make_image(warned, BOARD, 0).flash == plain.image.flash


def test_library_frames_are_read_from_the_code(tmp_path):
    """g is called by the C, f by g; h goes on in the middle of f, k runs into it, and both push that of their own."""
    bodies = {
        "k": " push {r0, r1}\n",
        "f": " push {r4-r7, lr}\n vpush {d8-d9}\n sub sp, #24\n str r3, [sp, #-8]!\n bx lr\n",
        "g": " str.w lr, [sp, #-8]!\n bl f\n ldr pc, [sp], #8\n",
        "h": " push {r0}\n beq.w f + 4\n b.w h\n",
        "bare": " ldr r3, =0xfffff000\n add sp, r3\n bx lr\n",
        "pointed": " blx r3\n",
    }
    source = tmp_path / "f.s"
    source.write_text(".syntax unified\n.thumb\n" + "".join(
        f".global {name}\n.type {name}, %function\n.thumb_func\n{name}:\n{body}.size {name}, .-{name}\n"
        for name, body in bodies.items()
    ))  # fmt: skip
    elf = tmp_path / "firmware.elf"
    flags = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-nostdlib", "-Wl,-e,f"]
    subprocess.run(["arm-none-eabi-gcc", *flags, str(source), "-o", str(elf)], check=True)
    deep = 5 * 4 + 4 * 4 + 24 + 8
    code = MachineCode(elf)
    assert code.library_frame("f") == (deep, frozenset())
    assert code.library_frame("g") == (8, {"f"})
    assert code.library_frame("h") == (4 + deep, frozenset())
    assert code.library_frame("k") == (8 + deep, frozenset())
    assert (code.calls("g"), code.calls("h"), code.calls("k")) == ({"f"}, {"f"}, frozenset())
    assert code.library_frame("nobody") == (0, frozenset())
    with pytest.raises(ToolchainError, match="no bound: bare, of a library, has `add sp, r3`"):
        code.library_frame("bare")
    with pytest.raises(ToolchainError, match="no bound: pointed, of a library, has `blx r3`"):
        code.library_frame("pointed")
    node = 'node: { title: "wb_train_step" label: "wb_train_step\\nschedule.c:1\\n16 bytes (static)" }'
    (tmp_path / "schedule.ci").write_text(node + '\nedge: { sourcename: "wb_train_step" targetname: "g" }')
    assert sizes.stack_reserve(tmp_path) == 16 + 8 + deep


@pytest.mark.parametrize("board", ["nrf52840", "stm32f746"])
def test_concatenation_needs_no_more_stack_than_is_reserved(board):
    """It is the deepest call here; gcc leaves what a function of variable arguments pushes out of its figures."""
    net = Network("joined", (1, 2, 4, 4))
    few = net.concatenate(net.input, net.input, label="few")
    many = net.flatten(net.concatenate(*[few] * 20, label="many"))
    memory = session.run(net.model(net.dense(many, "fc", 2)), policy="last-1", steps=1, trace="memory", board=board)
    memory = memory.meta["memory"]
    assert 0 < memory["stack_peak"] <= memory["stack_reserve"]


def linked(folder, source, core="cortex-m4"):
    """The folder with the ELF and the call graph of some C, whose entry is wb_train_step."""
    (folder / "schedule.c").write_text(source)
    flags = [f"-mcpu={core}", "-mthumb", "-Os", "-nostartfiles", "-Wl,-e,wb_train_step", "-fcallgraph-info=su"]
    command = ["arm-none-eabi-gcc", *flags, "schedule.c", "-o", "firmware.elf"]
    subprocess.run(command, check=True, cwd=folder)
    return folder


def test_calls_that_gcc_leaves_out_of_its_graph_are_read_from_the_code(tmp_path):
    """A Cortex-M0's jump table is read by a function of libgcc, which pushes a register."""
    cases = "".join(f"case {i}: to[{i}] = x * {i + 3}; return to[{8 - i}];\n" for i in range(9))
    source = f"int to[9];\nint wb_train_step(int x)\n{{\nswitch (x) {{\n{cases}}}\nreturn 0;\n}}\n"
    folder = linked(tmp_path, source, "cortex-m0plus")
    (graph,) = (path.read_text() for path in folder.glob("*.ci"))
    assert "thumb1_case" not in graph
    own = int(re.search(r"(\d+) bytes", graph)[1])
    assert sizes.stack_reserve(folder) == own + 4


def test_recursion_has_no_stack_bound(tmp_path):
    walk = "__attribute__((noipa)) int walk(int n) { return n < 2 ? n : walk(n - 1) + walk(n - 2); }\n"
    folder = linked(tmp_path, walk + "int wb_train_step(int n) { return walk(n) + 1; }\n")
    with pytest.raises(ToolchainError, match="no bound: walk -> walk is recursive"):
        sizes.stack_reserve(folder)
