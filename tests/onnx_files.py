"""Small ONNX files, built node by node."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


class OnnxFile:
    """`op` appends an operator and gives its result's name; `stored` a constant's."""

    def __init__(self, opset: int = 17) -> None:
        self.opset, self.nodes, self.constants, self.known = opset, [], [], []

    def stored(self, name: str, values, dtype=np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def op(self, kind: str, inputs, outputs=None, name: str = "", domain: str = "", **attributes) -> str:
        outputs = [f"v{len(self.nodes)}"] if outputs is None else outputs
        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), name=name, domain=domain, **attributes))
        return outputs[0] if outputs else ""

    def proto(self, inputs, outputs, dtype: int = FLOAT) -> onnx.ModelProto:
        """`inputs` and `outputs`: name -> shape; `dtype`: of the inputs."""
        x = [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()]
        y = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, "net", x, y, initializer=self.constants, value_info=self.known)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)

    def write(self, path: Path, inputs, outputs, dtype: int = FLOAT) -> Path:
        path.write_bytes(self.proto(inputs, outputs, dtype).SerializeToString())
        return path


def classifier(opset: int = 17, batch="n") -> tuple[OnnxFile, dict, dict]:
    """conv, batch norm, relu, pooling, a dense layer, softmax."""
    rng, file = np.random.default_rng(0), OnnxFile(opset)
    w = file.stored("conv.weight", rng.normal(scale=0.3, size=(4, 2, 3, 3)))
    b = file.stored("conv.bias", rng.normal(size=4))
    norm = [file.stored(f"bn.{each}", rng.uniform(0.5, 2, 4)) for each in ("weight", "bias", "mean", "var")]
    y = file.op("Conv", ["x", w, b], pads=[1, 1, 1, 1])
    y = file.op("Relu", [file.op("BatchNormalization", [y, *norm])])
    y = file.op("MaxPool", [y], kernel_shape=[2, 2], strides=[2, 2])
    y = file.op("Flatten", [y])
    y = file.op(
        "Gemm",
        [y, file.stored("fc.weight", rng.normal(size=(3, 36))), file.stored("fc.bias", rng.normal(size=3))],
        transB=1,
    )
    file.op("Softmax", [y], ["y"])
    return file, {"x": (batch, 2, 6, 6)}, {"y": (batch, 3)}
