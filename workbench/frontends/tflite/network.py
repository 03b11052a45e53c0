"""A file's operators, one after the other; each obstacle is kept, and what comes behind it is checked all the same.

x ── CONV_2D ── MUL ── CONV_2D ── LSTM ── y          obstacles: MUL, LSTM
                 └ what it makes is an argument from here on, of the type that the file declares
"""

from collections import Counter

from workbench.errors import GraphError, ModelError, ShapeError
from workbench.frontends.obstacles import Obstacle
from workbench.frontends.tflite.file import Network, Operator, short
from workbench.frontends.tflite.operators import OPERATORS
from workbench.frontends.tflite.values import Held, Unknown, Values, nchw
from workbench.ir.build import Value

RECURRENT = "a recurrent layer"
STATE = "a layer that keeps state from one input to the next"
CONTROL = "control flow"
KNOWN = {  # what operators are that no table of ours has
    **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "RNN",
                     "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"), RECURRENT),
    **dict.fromkeys(("SVDF", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"), STATE),
    **dict.fromkeys(("IF", "WHILE", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE"), CONTROL),
}  # fmt: skip
OTHER_INTEGERS = ("INT16", "UINT8", "INT4", "UINT16")  # that other files than ours compute in
ERRORS = (ModelError, ShapeError, GraphError)


def converted(values: Values) -> tuple[Value | None, list[Obstacle], int]:
    """The network's output, if there is one, all its obstacles, and how many nodes were made before the first."""
    network = values.network
    foreign = _foreign_dtypes(network)
    obstacles = [_foreign_obstacle(network, dtype) for dtype in foreign] + _inputs(values, foreign)
    sound = None if not obstacles else 0
    for op in network.operators:
        count = len(values.build.nodes)
        obstacle = _obstacle(values, op, foreign)
        if obstacle is not None:
            obstacles.append(obstacle)
            sound = count if sound is None else sound
    output = None
    try:
        output = _output(values, foreign)
    except ModelError as error:
        obstacles.append(_of_file(network, error))
    return output, obstacles, len(values.build.nodes) if sound is None else sound


def _inputs(values: Values, foreign: list[str]) -> list[Obstacle]:
    """Declare them; what is wrong with them."""
    network, obstacles = values.network, []
    if len(network.inputs) != 1:
        names = " and ".join(f'"{short(network.tensors[number].name)}"' for number in network.inputs[:4])
        inputs = f"{len(network.inputs)} inputs{', ' * bool(names)}{names}"
        obstacles.append(Obstacle(f" has {inputs}; a network has one"))
    try:
        if not obstacles and network.tensors[network.inputs[0]].dtype not in foreign:
            values.declare_input()
    except ModelError as error:
        obstacles.append(_of_file(network, error))
    if obstacles or foreign:  # what nothing makes can only be an input
        results = {number for op in network.operators for number in op.outputs}
        for number in {number for op in network.operators for number in op.inputs if number >= 0} - results:
            values.stand_in(number)
    return obstacles


def _obstacle(values: Values, op: Operator, foreign: list[str]) -> Obstacle | None:
    """Append the operator's nodes, or tell why there are none; then its results are what the file says."""
    network = values.network
    try:
        _append(values, op, foreign)
        return None
    except ERRORS as error:
        for number in op.outputs:
            values.stand_in(number)
        if isinstance(error, Unknown):
            return None
        where = network.where(op)
        message = error.message if error.message.startswith(network.file) else f"{where}: {error.message}"
        reason = message.removeprefix(where)
        if reason == message:
            reason = message.removeprefix(network.file)
        operands, results = ([str(network.tensors[i]) for i in side if i >= 0] for side in (op.inputs, op.outputs))
        return Obstacle(reason, error.hint, op.name, op.number, network.node(op), tuple(operands), tuple(results))


def _append(values: Values, op: Operator, foreign: list[str]) -> None:
    network, where = values.network, values.network.where(op)
    if op.name not in OPERATORS:
        kind = "a custom operator" if op.name.startswith("CUSTOM") else KNOWN.get(op.name)
        before = f"; everything before operator {op.number} imported" if op.number else ""
        raise ModelError(f"{where} is {f'{kind}, which is ' if kind else ''}not supported",
                         f"`workbench ops --frontend tflite` lists what is{before}")  # fmt: skip
    if not op.outputs or not op.inputs:
        raise ModelError(f"{where} has {len(op.inputs)} operands and {len(op.outputs)} results")
    for number in op.outputs:
        unconverted = [*foreign, *(OTHER_INTEGERS if number in network.outputs else ())]
        if network.tensors[number].dtype in unconverted:
            raise Unknown("makes what is told of the whole file")
        if number in values.held or number in values.constants:
            raise ModelError(f"{where} makes a tensor that is there already")
    held = OPERATORS[op.name].convert(values, op)
    results = () if held is None else held if isinstance(held, tuple) else (held,)
    if held is not None and len(results) != len(op.outputs):
        raise ModelError(f"{where} has {len(op.inputs)} operands and {len(op.outputs)} results")
    for number, result in zip(op.outputs, results, strict=False):
        _check_result(network, op, number, result)
    values.held.update(zip(op.outputs, results, strict=False))


def _check_result(network: Network, op: Operator, number: int, held: Held) -> None:
    tensor, kind = network.tensors[number], held.value.type
    wanted = nchw(tensor.shape)
    if held.shape != wanted or kind.dtype.upper() != tensor.dtype:
        raise ModelError(f"{network.where(op)} makes {kind.dtype} {held.shape}; the file says {tensor.dtype} {wanted}"
                         f"{' (as NCHW)' if len(wanted) == 4 else ''}")  # fmt: skip


def _foreign_dtypes(network: Network) -> list[str]:
    """Other whole numbers than int8 that operators compute in, most used first: one obstacle, not one an operator."""
    counts = Counter(network.tensors[n].dtype for op in network.operators if op.name != "QUANTIZE" for n in op.outputs)
    counts.update(tensor.dtype for tensor in network.tensors if tensor.dtype == "INT16")  # never a mere input
    return [dtype for dtype, _ in counts.most_common() if dtype in OTHER_INTEGERS]


def _foreign_obstacle(network: Network, dtype: str) -> Obstacle:
    numbers = {number for op in network.operators for number in op.outputs} | set(network.inputs)
    names = [f'"{short(network.tensors[n].name)}"' for n in sorted(numbers) if network.tensors[n].dtype == dtype]
    tensors = f" ({names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})" if names else ""
    return Obstacle(f" has {dtype.lower()} activations{tensors}; int8 and float32 are supported",
                    "convert it with int8 activations: supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]",
                    results=(dtype,))  # fmt: skip


def _output(values: Values, foreign: list[str]) -> Value | None:
    """What the network gives; None where that comes of an obstacle told before."""
    network = values.network
    if len(network.outputs) != 1:
        raise ModelError(f"{network.file} has {len(network.outputs)} outputs; a network has one")
    tensor = network.tensors[network.outputs[0]]
    if tensor.dtype in OTHER_INTEGERS and tensor.dtype not in foreign:
        raise ModelError(f'{network.file}: the output, "{short(tensor.name)}", is {tensor.dtype}; int8 and float32 are '
                         "supported", "convert it with inference_output_type=tf.int8")  # fmt: skip
    try:
        return values.in_order(values.padded(tensor.number))
    except Unknown:
        return None


def _of_file(network: Network, error: ModelError) -> Obstacle:
    return Obstacle(error.message.removeprefix(network.file), error.hint)
