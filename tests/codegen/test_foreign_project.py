"""The folder in somebody else's project: C or C++, its own start-up, script and flags; the same bits."""

import subprocess
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from workbench import boards, frontends, session
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.feeding import Training, samples_of, steps_of
from workbench.policy import Optimizer
from workbench.training import train

BOARD = boards.get("nrf52840")
STEPS, LR, LR_BIAS = 4, 0.05, 0.01

# As vendors write them (STM32CubeIDE's, CMSIS' and the nRF5 SDK's differ in the pattern of .bss alone).
SCRIPT = """
ENTRY(Reset_Handler)
MEMORY { ROM (rx) : ORIGIN = 0x0, LENGTH = 1024K   RAM (xrw) : ORIGIN = 0x20000000, LENGTH = 256K }
_estack = ORIGIN(RAM) + LENGTH(RAM);
SECTIONS
{
  .isr_vector : { . = ALIGN(4); KEEP(*(.isr_vector)) . = ALIGN(4); } >ROM
  .text : { . = ALIGN(4); *(.text) *(.text*) KEEP(*(.init)) KEEP(*(.fini)) . = ALIGN(4); _etext = .; } >ROM
  .rodata : { . = ALIGN(4); *(.rodata) *(.rodata*) . = ALIGN(4); } >ROM
  .ARM.extab : { *(.ARM.extab* .gnu.linkonce.armextab.*) } >ROM
  .ARM : { __exidx_start = .; *(.ARM.exidx*) __exidx_end = .; } >ROM
  _sidata = LOADADDR(.data);
  .data : { . = ALIGN(4); _sdata = .; *(.data) *(.data*) . = ALIGN(4); _edata = .; } >RAM AT> ROM
  .bss : { _sbss = .; *(.bss) @bss@ *(COMMON) . = ALIGN(4); _ebss = .; } >RAM
  .stack_check (NOLOAD) : { . = ALIGN(8); . = . + 0x800; } >RAM
}
"""
START_UP = """
extern unsigned _sidata[], _sdata[], _edata[], _sbss[], _ebss[], _estack[];
int main(void);
void Reset_Handler(void)
{
    *(volatile unsigned *)0xE000ED88u |= 0xFu << 20;
    __asm volatile("dsb\\n\\tisb" ::: "memory");
    for (unsigned *to = _sdata, *from = _sidata; to < _edata; ) *to++ = *from++;
    for (unsigned *to = _sbss; to < _ebss; ) *to++ = 0;
    main();
    for (;;) { }
}
__attribute__((section(".isr_vector"), used)) static const void *const vectors[] = { _estack, Reset_Handler };
"""
MAIN = """
#include "model.h"
#include "samples.h"

float losses[CALLS];

static void feed(int at)
{
    for (unsigned i = 0; i < sizeof samples[0] / sizeof samples[0][0]; ++i)
        wb_input0[i] = samples[at][i];
    wb_label0[0] = labels[at];
}

int main(void)
{
    for (int call = 0; call < CALLS; ++call) {
        feed(call);
@call@
        losses[call] = wb_loss;
    }
    return 0;
}
"""
CALL = "        wb_train_step();"
CALL_OF_TWO = "        if (call % 2)\n            wb_train_step();\n        else\n            wb_accumulate();"
WATCHED = (
    "void wb_breakpoint(void); void wb_breakpoint(void) { for (;;) { } }\n"  # where the emulator's calls come back
)
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Werror"]
FLAGS = [*BOARD.flags, "-O2", "-ffunction-sections",
         "-fdata-sections"]  # fmt: skip


def run(*command, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def link(folder: Path, firmware: Path, language: str, main: str, bss: str) -> Path:
    """Their ELF, from their sources and the folder's but for startup.c and main.c."""
    objects = []
    for source in sorted(firmware.glob("*.c")):
        if source.name not in ("startup.c", "main.c"):
            objects.append(str(folder / f"{source.stem}.o"))
            kernels = ["-std=gnu11", "-ffp-contract=off", "-fno-strict-aliasing"]  # what model.h asks for
            run("arm-none-eabi-gcc", *FLAGS, *kernels, "-Wall", "-c", str(source), "-o", objects[-1], cwd=folder)
    (folder / "foreign.ld").write_text(SCRIPT.replace("@bss@", bss))
    (folder / "startup_foreign.c").write_text(START_UP)
    (folder / f"main.{language}").write_text(main)
    (folder / "watched.c").write_text(WATCHED)
    for name in ("startup_foreign.c", "watched.c"):
        objects.append(str(folder / f"{name}.o"))
        run("arm-none-eabi-gcc", *FLAGS, "-c", name, "-o", objects[-1], cwd=folder)
    theirs = {
        "c": ["arm-none-eabi-gcc", "-std=c11", *WARNINGS],
        "cpp": ["arm-none-eabi-g++", "-std=c++17", "-fno-exceptions", "-fno-rtti", *WARNINGS[:3], "-Werror"],
    }
    objects.append(str(folder / "main.o"))
    run(*theirs[language], *FLAGS, f"-I{firmware}", "-c", f"main.{language}", "-o", objects[-1], cwd=folder)
    run("arm-none-eabi-gcc", *FLAGS, *objects, "-nostartfiles", "-Tforeign.ld", "-Wl,--gc-sections,--fatal-warnings",
        "-Wl,-u,wb_breakpoint", "-o", "foreign.elf", cwd=folder)  # fmt: skip
    return folder / "foreign.elf"


def numbers(values: np.ndarray) -> str:
    return "{" + ", ".join(map(float.hex if values.dtype == np.float32 else str, values.reshape(-1).tolist())) + "}"


@pytest.mark.parametrize(("language", "accumulate", "bss"), [("c", 1, "*(.bss*)"), ("cpp", 2, "*(.bss.*)")])
def test_it_trains_the_same_bits_in_a_project_of_its_own(language, accumulate, bss, tmp_path):
    model = frontends.load("mlp")
    compiled = session.compile(model, "last-1", optimizer=Optimizer(accumulate=accumulate))
    built = session.build(compiled, BOARD, tmp_path / "firmware", lr=LR, lr_bias=LR_BIAS)
    options = Training(steps=STEPS, lr=LR, lr_bias=LR_BIAS, evaluate=False, trace="off")
    expected, weights = train(built, options)

    steps = islice(steps_of(samples_of(model, options, accumulate), model.batch, accumulate, options), STEPS)
    batches = [batch for step in steps for batch in step.batches]
    images = ",\n".join(numbers(x) for x, _ in batches)
    (tmp_path / "samples.h").write_text(
        f"#define CALLS {len(batches)}\nstatic const float samples[][{batches[0][0].size}] = {{{images}}};\n"
        f"static const int labels[] = {numbers(np.concatenate([y for _, y in batches]))};\n"
    )
    main = MAIN.replace("@call@", CALL if accumulate == 1 else CALL_OF_TWO)
    elf = link(tmp_path, tmp_path / "firmware", language, main, bss)

    machine = Machine(elf, BOARD)
    machine.write(BOARD.sram_base, b"\xa5" * BOARD.sram_size)
    machine.start()
    machine.call("main")
    losses = machine.read_array("losses", np.float32, STEPS * accumulate).astype(float).reshape(STEPS, accumulate)
    assert losses.mean(axis=1).tolist() == expected.meta["loss"]
    for name, symbol in (("fc3.weight", "p_fc3_weight"), ("fc3.bias", "p_fc3_bias")):
        got = machine.read_array(symbol, np.float32, weights[name].size)
        assert got.tobytes() == weights[name].tobytes() != model.weights[name].tobytes()
    assert loaded(elf) < 40_000  # weights, samples and code: the arena is not in the flash image
    assert section_of(elf, "wb_arena") == ".bss"


def loaded(elf: Path) -> int:
    with elf.open("rb") as file:
        return sum(segment["p_filesz"] for segment in ELFFile(file).iter_segments("PT_LOAD"))


def section_of(elf: Path, symbol: str) -> str:
    with elf.open("rb") as file:
        read = ELFFile(file)
        (entry,) = read.get_section_by_name(".symtab").get_symbol_by_name(symbol)
        section = read.get_section(entry["st_shndx"])
        assert section["sh_type"] == "SHT_NOBITS"
        return section.name


def test_a_built_firmware_learns_by_itself(tmp_path):
    """Nobody writes rates: it starts with those of `build`, by default those of `run`."""
    compiled = session.compile(frontends.load("mlp"), "last-1")
    auto = {"lr": "auto"}  # what a sweep of the host would find: until then it is the usual one
    for how, rates in (({}, (0.02, 0.02)), (auto, (0.02, 0.02)), ({"lr": 0.5}, (0.5, 0.5)),
                       ({"lr": 0.5, "lr_bias": 0.25}, (0.5, 0.25))):  # fmt: skip
        built = session.build(compiled, BOARD, tmp_path, **how)
        machine = Machine(built.image.elf, BOARD)
        machine.start()
        assert [machine.read_f32(name) for name in ("wb_lr", "wb_lr_bias")] == [np.float32(rate) for rate in rates]
        said = " ".join((tmp_path / "model.h").read_text().split("*"))
        assert f"wb_lr (at first {rates[0]:g}), wb_lr_bias (at first {rates[1]:g})" in " ".join(said.split())
    before = machine.read_array("p_fc3_weight", np.float32, 320)
    Device(machine, built.project.buffers, built.project.ops).train_step(np.ones((1, 64), np.float32), [3])
    assert not np.array_equal(machine.read_array("p_fc3_weight", np.float32, 320), before)


def test_rates_cost_eight_bytes_of_flash_and_none_of_sram(tmp_path):
    compiled = session.compile(frontends.load("mlp"), "last-1")
    with_rates, without = (session.build(compiled, BOARD, tmp_path, lr=lr).image for lr in (0.02, 0.0))
    assert (with_rates.flash, with_rates.static) == (without.flash + 8, without.static)
    assert replace(with_rates, flash=without.flash, content=without.content) == without


def test_without_a_debugger_the_core_waits_in_main(tmp_path):
    """No instruction of start-up, main or the fault handler stops a core that nobody watches."""
    built = session.build(session.compile(frontends.load("mlp"), "last-1"), BOARD, tmp_path)
    listing = subprocess.run(["arm-none-eabi-objdump", "-d", str(built.image.elf)], capture_output=True, text=True,
                             check=True).stdout  # fmt: skip
    functions = {part.split(">:")[0].split("<")[-1]: part for part in listing.split("\n\n")}
    stopping = {name for name, code in functions.items() if "\tbkpt\t" in code or "\tudf\t" in code}
    assert stopping == {"wb_breakpoint"} and "wb_breakpoint>" not in functions["main"]
