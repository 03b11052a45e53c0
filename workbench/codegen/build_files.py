"""How the folder becomes firmware.elf: the Makefile, and where the board's memories are."""

from workbench.boards import Board

FLAGS = (
    "-std=c11 -O2 -g1 -ffp-contract=off -fno-ipa-icf -fno-strict-aliasing -ffunction-sections -fdata-sections "
    "-Wall -Wextra $(WERROR) -fcallgraph-info=su"
)


def board_script(board: Board) -> str:
    """board.ld: where the board's memories are; sections.ld says what goes where."""
    return (
        f"/* {board.name} */\nMEMORY\n{{\n"
        f"  FLASH (rx)  : ORIGIN = {board.flash_base:#010x}, LENGTH = {board.flash_size}\n"
        f"  SRAM  (rwx) : ORIGIN = {board.sram_base:#010x}, LENGTH = {board.sram_size}\n"
        "}\nINCLUDE sections.ld\n"
    )


def makefile(board: Board, sources: list[str]) -> str:
    """A Makefile that needs nothing but arm-none-eabi-gcc; the same bytes wherever it runs."""
    objects = " ".join(name.removesuffix(".c") + ".o" for name in sources)
    return (
        f"# {board.name}: `make` builds firmware.elf\n"
        "CC = arm-none-eabi-gcc\n"
        f"CPU = {' '.join(board.flags)}\n"
        "WERROR ?=\n"
        f'CFLAGS = $(CPU) {FLAGS} -ffile-prefix-map="$$PWD"=.\n'
        "LDFLAGS = $(CPU) -nostartfiles -T board.ld -L . -Wl,--gc-sections,--build-id=none "
        "-u wb_breakpoint -u wb_forward -u wb_accumulate -u wb_train_step\n\n"
        f"OBJECTS = {objects}\n\n"
        "firmware.elf: $(OBJECTS) board.ld sections.ld\n"
        "\t$(CC) $(LDFLAGS) $(OBJECTS) -o $@\n\n"
        "%.o: %.c $(wildcard *.h kernels/*.h)\n"
        "\t$(CC) $(CFLAGS) -c $< -o $@\n\n"
        "clean:\n\trm -f firmware.elf $(OBJECTS) *.ci\n\n"
        ".PHONY: clean\n"
    )
