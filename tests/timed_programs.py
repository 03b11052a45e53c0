"""Three small programs whose cycles are looked at as a whole: a table-driven CRC, a 3×3 convolution, a block cipher."""

from binascii import crc32
from pathlib import Path

import numpy as np
from tiny_firmware import compile_firmware

from workbench.emulate.machine import Machine

SOURCE = """
uint8_t wb_arena[1024] ARENA;
static const uint32_t table[256] = {%s};
uint32_t crc;
int32_t sums[14 * 14];
uint32_t block[2], key[4] = {0x01234567, 0x89abcdef, 0xfedcba98, 0x76543210};
void wb_train_step(void) {}
void program_crc(void)
{
    uint32_t c = ~0u;
    for (int i = 0; i < 1024; ++i)
        c = c >> 8 ^ table[(c ^ wb_arena[i]) & 255];
    crc = ~c;
}
void program_convolution(void)
{
    static const int8_t filter[9] = {1, -2, 3, -4, 5, -6, 7, -8, 9};
    for (int y = 0; y < 14; ++y)
        for (int x = 0; x < 14; ++x) {
            int sum = 0;
            for (int v = 0; v < 3; ++v)
                for (int u = 0; u < 3; ++u)
                    sum += filter[3 * v + u] * wb_arena[16 * (y + v) + x + u];
            sums[14 * y + x] = sum;
        }
}
void program_cipher(void)
{
    uint32_t a = block[0], b = block[1], sum = 0;
    for (int i = 0; i < 32; ++i) {
        a += ((b << 4 ^ b >> 5) + b) ^ (sum + key[sum & 3]);
        sum += 0x9e3779b9;
        b += ((a << 4 ^ a >> 5) + a) ^ (sum + key[sum >> 11 & 3]);
    }
    block[0] = a, block[1] = b;
}
"""
NAMES = ("crc", "convolution", "cipher")


def compiled(folder: Path, board, *flags: str) -> Path:
    """The ELF of all three; by -O2, if no flag says otherwise."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = table >> 1 ^ np.where(table & 1, 0xEDB88320, 0).astype(np.uint32)
    return compile_firmware(folder, SOURCE % ", ".join(map(str, table)), board, flags=flags)


def started(elf: Path, board) -> Machine:
    """A machine with the programs' data in it."""
    machine = Machine(elf, board)
    machine.start()
    machine.write("wb_arena", DATA.tobytes())
    return machine


def results_are_right(machine: Machine, name: str) -> bool:
    """Whether a program that has run gives what Python does."""
    if name == "crc":
        return machine.read_u32("crc") == crc32(DATA.tobytes())
    if name == "convolution":
        windows = np.lib.stride_tricks.sliding_window_view(DATA[:256].reshape(16, 16).astype(np.int64), (3, 3))
        expected = np.einsum("yxvu,vu->yx", windows, np.array([[1, -2, 3], [-4, 5, -6], [7, -8, 9]]))
        return (machine.read_array("sums", np.int32, 196).reshape(14, 14) == expected).all()
    return machine.read_u32("block") == _xtea()


def _xtea() -> int:
    key, a, b, total, word = (0x01234567, 0x89ABCDEF, 0xFEDCBA98, 0x76543210), 0, 0, 0, (1 << 32) - 1
    for _ in range(32):
        a = a + (((b << 4 ^ b >> 5) + b) ^ (total + key[total & 3])) & word
        total = total + 0x9E3779B9 & word
        b = b + (((a << 4 ^ a >> 5) + a) ^ (total + key[total >> 11 & 3])) & word
    return a


DATA = np.random.default_rng(0).integers(0, 256, 1024).astype(np.uint8)
