"""The numbers that the native callbacks and Python share: one flat int64 array, and tables it points to.

A callback gets one pointer. Names below are indices into the array; those ending in _AT hold the address of a table.
Numba caches the callbacks by the date of their own file alone: after a change here, touch hooks.py and stack_watch.py.
"""

# Code. CODE_AT: int32, four to a halfword of code: instructions before it, cycles before it, tag, edges (cycles added
# when control goes elsewhere behind the instruction that ends here, · 2¹⁶, plus those when it comes from elsewhere).
# These three are of the span of code that runs; those of all spans are in SPANS_AT: int64, three to a span.
CODE_BASE, CODE_HALFWORDS, CODE_AT = 0, 1, 2
PREVIOUS_TAKEN = 3  # cycles added if the next block does not follow the last one
# Where the run stands. Row 0 is the code outside operators (position -1); row p + 1 is position p.
ROW, PREVIOUS_END, BLOCK, MEMORY = 4, 5, 6, 7
COUNTS_AT = 8  # int64, two to a row: instructions (from minus the budget on: past zero it is used up), cycles
# Memory. Owners: int32 to a byte, 2 · (buffer + 1), plus 1 while the byte is unwritten; or one of the codes below.
SRAM_BASE, SRAM_SIZE, OWNERS_AT = 9, 10, 11
FLASH_BASE, FLASH_SIZE, FLASH_OWNERS_AT = 12, 13, 14
BUFFERS, PERMISSIONS_AT = 15, 16  # uint8 by row and buffer: bit 0 may read, bit 1 may write
ACCESSES_AT = 17  # int64, four to a row and buffer: bytes read, bytes written, 2³² - lowest address, highest + 1
EVENTS_AT, EVENTS, NEXT_EVENT = 18, 19, 20  # int64, four to an event: position, begin, end (bytes of SRAM), owner
VIOLATIONS_AT, VIOLATIONS = 21, 22  # int64, seven to a violation: kind, row, buffer, address, size, pc, count
VIOLATIONS_LOST = 23
STACK_LOW, STRAY_HIGH = 24, 25
ARENA_BEGIN, ARENA_END = 26, 27
ROW_PERMISSIONS_AT, ROW_ACCESSES_AT = 28, 29  # the current row of these two tables
STOP_AT, EMULATOR, HALTED = 30, 31, 32  # the function that stops the emulator, its argument, whether it was called
READ_AT, SP = 33, 34  # the function that reads a register, and where it puts the stack pointer
FLASH_END = 35  # of what is mapped; the table ends where the firmware does
SPANS_AT, SPANS = 36, 37
SIZE = 38

# Bytes that are no buffer's: nobody may touch; the stack, from its pointer up; what only code outside operators may
# touch (counters of the firmware's own); what anybody may read (literals and other constants in flash).
NOBODY, STACK, STATIC, CONSTANT = 0, -1, -2, -3
FLASH = -4  # in a violation: nobody's bytes of flash
PUSHED = 128  # bytes that one instruction may write below the stack pointer before moving it (VPUSH of 16 doubles)
TOP = 1 << 32
KEEP, DRIVER = 0, -1  # tags: keep the operator, code outside operators; k + 1 is the entry of position k

UNDECLARED_READ, UNDECLARED_WRITE, UNWRITTEN_READ, OUTSIDE = range(4)
KINDS = ("undeclared-read", "undeclared-write", "unwritten-read", "outside")
VIOLATION_FIELDS = 7
VIOLATION_LIMIT = 64
