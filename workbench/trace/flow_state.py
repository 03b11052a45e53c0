"""The numbers that flow.py's native callbacks and Python share: one flat int64 array, and tables it points to.

    code      what is known of each halfword before the program runs: prefix sums, costs of edges, functions, flags
    blocks    a block of instructions as it ran, in one context
    edges     from one block to the next one, counted; each remembers which two came after it last. The first row leads
              nowhere, and is where all begins
    contexts  which functions are running: a tree, in which a function met again below itself is the node it was
    frames    the shadow stack: where each running function will return to

All grow: the callback asks for more room, the emulation stops behind the block, and Python doubles the table.
"""

# Code. SPANS_AT: int64, three to a span: base, halfwords, address of its table of int32, CODE to a halfword:
# instructions before it; cycles before it; taken · 2¹⁶ + entered; function, from 1 on; what ends here or begins here
SPANS_AT, SPANS = 0, 1
SPAN, CODE = 3, 6
INSTRUCTIONS_BEFORE, CYCLES_BEFORE, ENDS, FUNCTION_OF, MARKS, DROPS = range(6)
CALLS, INDIRECT, MOVES_SP, ENTRY = 1, 2, 4, 8  # the first two of what ends here, the last of what begins here
SWITCHES, UNMASKS = 32, 64  # likewise of what ends here: another stack may be used; exceptions may be taken again
UNKNOWN = 16  # of a block: in no span

# Growing tables with a hash table: behind the number that is a table's address, how many rows it has, and room for how
# many; then address and mask of int32 that are rows + 1, or 0.
ROWS, ROOM, HASH_AT, HASH_MASK = range(1, 5)

# Blocks: int64.
BLOCKS_AT, BLOCKS = 2, 3
BLOCK = 10
BEGIN_SIZE, CONTEXT, END, ISSUED, STATIC, TAKEN, ENTERED, FLAGS, FUNCTION, DROP = range(10)

# Edges: int64. FROM is -1 where the program, or counting, begins. KEY, TO_FLAGS: BEGIN_SIZE and FLAGS of the block TO.
# NEXT, NEXT_BUT_ONE: where in the table the edges are that followed, in bytes; 0: none yet
EDGES_AT, EDGES = 7, 8
EDGE = 10
FROM, TO, COUNT, COST, KIND, STEPS, KEY, TO_FLAGS, NEXT, NEXT_BUT_ONE = range(10)
PLAIN, CALL, RETURN, TAIL = range(4)
KINDS = ("plain", "call", "return", "tail")

# Contexts: int64. STACK: bytes of the function's own frame, at most.
CONTEXTS_AT, CONTEXTS = 12, 13
NODE = 3
PARENT, ADDRESS, STACK = range(3)

# Frames: int64. RETURNS_TO is HANDLER where an exception interrupted what goes on behind the edge INTERRUPTED.
FRAMES_AT, DEPTH, FRAME_ROOM = 17, 18, 19
FRAME = 5
RETURNS_TO, CALLER, IS_TAIL, ENTRY_SP, INTERRUPTED = range(5)
HANDLER = -1

# Where the run stands. LAST: where in the table the edge is that was taken last, in bytes; 0 where none was.
LAST, NOW, CLOCK, DEADLINE = 20, 21, 22, 23
LOWEST_IN = 24  # the context in which SP_LOW was reached
STOP_AT, EMULATOR = 25, 26  # the machine stops before the first block at which CLOCK is DEADLINE or more, then STOPPED
STOPPED = -1

# The stack: SP as it was read last, its top, the lowest, and the log: int32, by 2 ** LOG_SHIFT cycles the deepest;
# behind LOG_SIZE of them, how deep it was in the end. -1: it did not move.
READ_AT, SP, SP_TOP, SP_LOW = 27, 28, 29, 30
LOG_AT, LOG_SHIFT = 31, 32
LOG_SIZE = 2048

# Memory: int64, four to a region: base, end, bytes read, bytes written.
REGIONS_AT, REGIONS = 33, 34
REGION = 4

MASKED = 35  # an exception waits until it is unmasked
SIZE = 36
