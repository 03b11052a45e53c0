"""The instructions of an ELF, as binutils read them."""

import re
import subprocess


def disassemble(elf):
    """address -> (mnemonic, operands), literals and padding left out."""
    text = subprocess.run(
        ["arm-none-eabi-objdump", "-d", "--no-show-raw-insn", elf], capture_output=True, text=True, check=True
    )
    lines = re.finditer(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", text.stdout, re.MULTILINE)
    return {
        int(m[1], 16): (m[2].removesuffix(".w").removesuffix(".n"), m[3]) for m in lines if not m[2].startswith(".")
    }
