"""Trained weights go back into their .onnx file: what ONNX Runtime then makes of it is what the run gives."""

import numpy as np
import pytest

from workbench import frontends, session
from workbench.cli import main
from workbench.errors import ModelError

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_files import OnnxFile, classifier  # noqa: E402

from workbench.frontends.onnx import load  # noqa: E402
from workbench.frontends.onnx.places import places  # noqa: E402

SHAPE = (2, 6, 6)


def data(shape=SHAPE, classes=3, count=24):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *shape)).astype(np.float32), rng.integers(0, classes, count)


def trained(path, shape=SHAPE, **how):
    options = {"steps": 6, "lr": 0.05, "trace": "off", "normalize": "none", "policy": "full"} | how
    return session.run(str(path), data=data(shape), **options)


def given_by(path, x):
    network = runtime.InferenceSession(path)
    return np.concatenate([network.run(None, {network.get_inputs()[0].name: each[None]})[0] for each in x])


def goes_back(run, path, x):
    """The file with the trained tensors gives what the run gives; that as it was read gave something else."""
    target = path.parent / "trained.onnx"
    run.save_weights(target)
    got, want = run.predict(x), given_by(target, x)
    assert np.linalg.norm(got - want) <= 1e-5 * np.linalg.norm(want)
    assert not np.allclose(want, given_by(path, x), atol=1e-3)
    assert run.model() == target.read_bytes()
    return target


def other_bytes(path, target, *tensors):
    """How many bytes differ outside of these tensors."""
    before, after = (np.frombuffer(each.read_bytes(), np.uint8) for each in (path, target))
    outside = np.ones(len(before), bool)
    for place in places(path.read_bytes(), tensors).values():
        outside[place.at : place.at + int(np.prod(place.shape)) * np.dtype(place.dtype).itemsize] = False
    assert len(before) == len(after) and (before != after).any()
    return int((before != after)[outside].sum())


@pytest.mark.parametrize("policy", ["full", "head", "conv+bn"])
def test_a_file_with_the_trained_tensors_gives_what_the_run_gives(tmp_path, policy):
    file, inputs, outputs = classifier(batch=1)
    path = file.write(tmp_path / "net.onnx", inputs, outputs)
    run = trained(path, policy=policy)
    target = goes_back(run, path, data()[0][:6])
    head, rest = ("fc.weight", "fc.bias"), ("conv.weight", "conv.bias", "bn.weight", "bn.bias")
    own = {"full": (*head, *rest), "head": head, "conv+bn": rest}[policy]
    assert other_bytes(path, target, *own) == 0
    before = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    state = run.state_dict()
    assert {name for name in state if not np.array_equal(state[name], before[name])} == set(own)


def test_the_command_line_writes_it(tmp_path, capsys):
    file, inputs, outputs = classifier()
    path, (x, y) = file.write(tmp_path / "net.onnx", inputs, outputs), data()
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    target = tmp_path / "trained.onnx"
    how = ["--data", str(tmp_path / "mine.npz"), "--steps", "2", "--trace", "off", "-o", str(tmp_path / "out")]
    assert main(["run", str(path), *how, "--save-weights", str(target)]) == 0, capsys.readouterr().err
    assert not np.allclose(given_by(target, x[:4]), given_by(path, x[:4]), atol=1e-4)


def test_sizes_that_a_file_leaves_open_are_told(tmp_path, capsys):
    file, _, outputs = classifier()
    path, (x, y) = file.write(tmp_path / "net.onnx", {"x": ("n", 2, "h", "w")}, outputs), data()
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    how = ["--data", str(tmp_path / "mine.npz"), "--steps", "2", "--trace", "off", "-o", str(tmp_path / "out")]
    assert main(["run", str(path), *how]) == 1
    assert "help: --shape names the sizes behind the batch, as in --shape 3x224x224" in capsys.readouterr().err
    target = tmp_path / "trained.onnx"
    assert main(["run", str(path), *how, "--shape", "2x6x6", "--save-weights", str(target)]) == 0, (
        capsys.readouterr().err
    )
    assert given_by(target, x[:4]).shape == (4, 3)
    run = session.run(str(path), data=(x, y), steps=1, trace="off", shape=SHAPE, batch=3)
    assert run.predict(x[:4]).shape == (4, 3)
    for name, shape, words in ((path, "2xsixx6", "such as 1x28x28; got '2xsixx6'"), (path, (), r"got \(\)"),
                               (path, (2, 0, 6), r"got \(2, 0, 6\)"), ("mlp", "64", "mlp says itself what it reads"),
                               (path, (3, 6, 6), r"a shape of \(3, 6, 6\) behind the batch does not fit")):  # fmt: skip
        with pytest.raises(ModelError, match=words):
            frontends.load(name, shape=shape)


def small(path, form="raw", **external):
    """conv, relu, and a product of a transposed weight, whose bias is a Constant."""
    rng, file = np.random.default_rng(0), OnnxFile()
    dtype = np.float64 if form == "doubles" else np.float16 if form == "halves" else np.float32
    arrays = {"conv.w": rng.normal(size=(2, 1, 3, 3)), "conv.b": rng.normal(size=2), "w": rng.normal(size=(8, 3)),
              "unused": rng.normal(size=(4, 4))}  # fmt: skip
    for name, values in arrays.items():
        own = dtype if name == "w" else np.float32
        file.stored(name, values, own)
        if form == "listed":
            file.constants[-1] = helper.make_tensor(name, TensorProto.FLOAT, values.shape, values.reshape(-1).tolist())
    y = file.op("Flatten", [file.op("Relu", [file.op("Conv", ["x", "conv.w", "conv.b"])])])
    b = file.op("Constant", [], ["b"], value=numpy_helper.from_array(np.array([0.5, -0.5, 1], np.float32)))
    w = file.op("Cast", ["w"], to=TensorProto.FLOAT) if own is not dtype else "w"
    file.op("Gemm", [y, w, b], ["y"])
    onnx.save(file.proto({"x": (1, 1, 4, 4)}, {"y": (1, 3)}), path, **external)
    return path


@pytest.mark.parametrize("form", ["raw", "listed", "doubles"])
def test_tensors_go_back_in_the_form_that_they_have(tmp_path, form):
    path = small(tmp_path / "net.onnx", form)
    target = goes_back(trained(path, (1, 4, 4)), path, data((1, 4, 4))[0][:6])
    assert other_bytes(path, target, "conv.w", "conv.b", "w", "b") == 0


def test_a_weight_that_is_read_twice_and_one_seen_otherwise_go_back_once(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    file.stored("w", rng.normal(size=(4, 4)))
    y = file.op("Relu", [file.op("MatMul", ["x", "w"])])
    y = file.op("Relu", [file.op("Gemm", [y, "w"], transB=1)])
    file.op("MatMul", [y, file.op("Transpose", [file.stored("head", rng.normal(size=(3, 4)))])], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 4)}, {"y": (1, 3)})
    target = goes_back(trained(path, (4,)), path, data((4,))[0][:6])
    assert other_bytes(path, target, "w", "head") == 0


def refused(path, said, allowed, shape):
    with pytest.raises(ModelError, match=said):
        session.saving.writer("w.onnx", "net", (model := load(path)).origin, model.graph.parameters)
    run = trained(path, shape, policy=allowed)
    goes_back(run, path, data(shape)[0][:4])
    run = trained(path, shape)  # .npz holds them all the same
    with pytest.raises(ModelError, match=said):
        run.state_dict()


def test_what_cannot_go_back_is_refused(tmp_path):
    path = small(tmp_path / "net.onnx", "halves")
    refused(path, "trained values of w: it is stored as float16, and trains as float32", "conv.w", (1, 4, 4))
    beside = {"save_as_external_data": True, "location": "beside.bin", "size_threshold": 120}  # w alone is as large
    path = small(tmp_path / "large.onnx", **beside)
    refused(path, "trained values of w: it lies in a file beside this one, which is not written", "conv.w", (1, 4, 4))


def test_one_tensor_that_is_several_parameters_or_a_constant_too_is_refused(tmp_path):
    """As exporters leave them that merge equal tensors: a bias of zeros, the shift of a norm and its means."""
    rng, file = np.random.default_rng(0), OnnxFile()
    zeros, w = file.stored("zeros", np.zeros(4)), file.stored("w", rng.normal(size=(4, 4)))
    y = file.op("Gemm", ["x", w, zeros])
    y = file.op(
        "BatchNormalization", [y, file.stored("s", rng.uniform(1, 2, 4)), zeros, zeros, file.stored("v", [1] * 4)]
    )
    file.op("Gemm", [y, file.stored("head", rng.normal(size=(4, 3)))], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 4)}, {"y": (1, 3)})
    refused(path, "the file uses the same tensor elsewhere too", "=s+=w+=w_head", (4,))

    file = OnnxFile()
    w = file.stored("w", rng.normal(size=(3, 3)))
    y = file.op("Add", [file.op("MatMul", ["x", w]), file.op("ReduceSum", [file.op("Mul", [w, w])], keepdims=0)])
    file.op("MatMul", [y, file.stored("head", rng.normal(size=(3, 3)))], ["y"])
    path = file.write(tmp_path / "norm.onnx", {"x": (1, 3)}, {"y": (1, 3)})
    refused(path, "trained values of w: the file uses the same tensor elsewhere too", "head", (3,))


def test_a_constant_that_is_two_biases_is_refused(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    value = numpy_helper.from_array(np.zeros(3, np.float32))
    b = file.op("Identity", [file.op("Constant", [], value=value)])
    y = file.op("Gemm", ["x", file.stored("w", rng.normal(size=(3, 3))), b])
    file.op("Gemm", [y, file.stored("head", rng.normal(size=(3, 3))), b], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 3)}, {"y": (1, 3)})
    refused(path, "trained values of .*bias: the file uses the same tensor elsewhere too", "=w+=w_head", (3,))


def test_one_that_an_activation_was_made_of_too_is_refused(tmp_path):
    """x · half · (1 + erf(x / √2)) is a Gelu, whose half no training changes; the other one is a parameter."""
    rng, file = np.random.default_rng(0), OnnxFile()
    half = file.stored("half", 0.5)
    erf = file.op("Erf", [file.op("Div", ["x", file.stored("root", np.sqrt(2))])])
    y = file.op("Mul", [file.op("Mul", ["x", file.op("Add", [erf, file.stored("one", 1)])]), half])
    file.op("MatMul", [file.op("Mul", [y, half]), file.stored("head", rng.normal(size=(3, 3)))], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 3)}, {"y": (1, 3)})
    refused(path, "trained values of half: the file uses the same tensor elsewhere too", "head", (3,))


def test_what_was_computed_of_tensors_has_none_to_go_back_to(tmp_path):
    rng, file = np.random.default_rng(0), OnnxFile()
    w = file.op("Mul", [file.stored("v", rng.normal(size=(3, 3))), file.stored("g", rng.normal(size=(3, 1)))])
    file.op("Gemm", [file.op("Relu", [file.op("Gemm", ["x", w])]), file.stored("head", rng.normal(size=(3, 3)))], ["y"])
    path = file.write(tmp_path / "net.onnx", {"x": (1, 3)}, {"y": (1, 3)})
    refused(path, "net.onnx has no tensor that trained values of .* could go back to", "head", (3,))


def test_places_of_a_file_that_was_cut_anywhere_are_found_or_none(tmp_path):
    whole, names = small(tmp_path / "net.onnx").read_bytes(), ("conv.w", "w", "b", "unused")
    last = max(each.at for each in places(whole, names).values())
    for end in range(0, last, 7):
        try:
            found = places(whole[:end], names)
        except IndexError:
            continue
        assert all(isinstance(each, str) for each in found.values())
    assert places(whole, ["gone"]) == {"gone": "the file stores no tensor of its own for it"}
