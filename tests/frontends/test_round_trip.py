"""Trained weights go back into the file that they came from: what that then gives is what the run gives."""

import numpy as np
import pytest
from tflite_files import SAME, VALID, TfliteFile, desktop, micro

from workbench import session
from workbench.cli import main
from workbench.errors import ModelError
from workbench.frontends.tflite.file import read


def close(a, b, within=1e-5):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    assert np.linalg.norm(a - b) <= within * np.linalg.norm(b)


def test_a_network_of_ours_has_no_file_to_go_back_to(tmp_path):
    run = session.run("mlp", steps=1, trace="off")
    for give in (run.state_dict, run.model):
        with pytest.raises(ModelError, match="is not known to come from a module or file"):
            give()
    with pytest.raises(ModelError, match=r"mlp was not read from a PyTorch module"):
        run.save_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_outputs_are_what_a_file_with_a_softmax_gives(tmp_path, dtype):
    run, x = trained_file(Net(dtype, softmax=True).path(tmp_path))
    (tmp_path / "trained.tflite").write_bytes(run.model())
    got = run.predict(x)
    if dtype == "float32":
        close(got, given_by(tmp_path / "trained.tflite", x, dtype))
    else:
        units = given_by(tmp_path / "trained.tflite", x, dtype, micro) / 0.05 + 3
        assert np.array_equal(got, (np.rint(units) + 128) / 256)
    assert np.allclose(got.sum(axis=1), 1, atol=0.02) and not np.allclose(run.scores(x), got)


CONV = {"StrideH": 1, "StrideW": 1, "FusedActivationFunction": 0}
DILATED = CONV | {"DilationHFactor": 1, "DilationWFactor": 1}
IMAGE = (1, 5, 6, 2)


class Net(TfliteFile):
    """A convolution, a depthwise and a transposed one, and a dense layer, of three classes."""

    def __init__(self, dtype, extreme=False, per_tensor=False, shared=False, softmax=False):
        super().__init__()
        self.rng, self.whole, self.extreme, self.per_tensor = (
            np.random.default_rng(0),
            dtype == "int8",
            extreme,
            per_tensor,
        )
        self.dtype, self.shared, self.scale = dtype, None, 0.05
        x = self.source = self.image(IMAGE)
        y = self.layer("CONV_2D", x, (4, 3, 3, 2), 0, (1, 5, 6, 4), "Conv2DOptions", Padding=SAME, **DILATED)
        y = self.layer("DEPTHWISE_CONV_2D", y, (1, 3, 3, 4), 3, (1, 3, 4, 4), "DepthwiseConv2DOptions", Padding=VALID,
                       DepthMultiplier=1, **DILATED)  # fmt: skip
        up = {"StrideH": 2, "StrideW": 2, "FusedActivationFunction": 0}
        self.size = self.tensor(data=np.array([1, 6, 8, 3], np.int32))
        y = self.layer("TRANSPOSE_CONV", y, (3, 2, 2, 4), 0, (1, 6, 8, 3), "TransposeConvOptions", Padding=VALID, **up)
        flat = self.image((1, 144))
        self.op("RESHAPE", [y, self.tensor(data=np.array([1, 144], np.int32))], flat)
        y = self.layer("FULLY_CONNECTED", flat, (3, 144), 0, (1, 3), "FullyConnectedOptions", FusedActivationFunction=0)
        self.output = self.softmax(y) if softmax else y

    def softmax(self, y):
        of = {"scale": 1 / 256, "zero": -128} if self.whole else {}
        return self.op("SOFTMAX", [y], self.tensor((1, 3), self.dtype, **of), "SoftmaxOptions", Beta=1.0)

    def image(self, shape):
        return self.tensor(shape, self.dtype, **({"scale": 0.05, "zero": 3} if self.whole else {}))

    def layer(self, name, x, shape, axis, size, table, **options):
        filters, name_w = shape[axis], f"net/{name.lower()}/kernel"
        if self.whole:
            scale = np.full(1, 0.01) if self.per_tensor else self.rng.uniform(0.004, 0.01, filters)
            b = self.rng.integers(-300, 300, filters).astype(np.int32)
            if self.extreme and name == "CONV_2D":
                b[1] = 2**31 - 5
                scale[1:2] = 4e-9
            w = self.tensor(data=self.rng.integers(-100, 100, shape, np.int8), scale=scale, axis=axis, name=name_w)
            b = self.tensor(data=b, scale=scale * 0.05, name=f"{name_w}.bias")
        else:
            w = self.tensor(data=self.rng.normal(scale=0.2, size=shape).astype(np.float32), name=name_w)
            b = self.tensor(data=self.rng.normal(size=filters).astype(np.float32), name=f"{name_w}.bias")
        operands = [self.size, w, x, b] if name == "TRANSPOSE_CONV" else [x, w, b]
        return self.op(name, operands, self.image(size), table, **options)

    def path(self, folder, name="net.tflite"):
        return self.write(folder / name, [self.source], [self.output])


def trained_file(path, **how):
    from workbench.frontends.tflite import load

    rng, model = np.random.default_rng(0), load(path)
    x, y = rng.normal(size=(24, *IMAGE[1:])).astype(np.float32), rng.integers(0, 3, 24)
    return session.run(model, data=(x, y), **{"steps": 6, "lr": 0.01, "trace": "off", "normalize": "none"} | how), x[:6]


def given_by(path, x, dtype, oracle=desktop):
    """Real outputs of TensorFlow Lite for real samples."""
    run = oracle(path)
    if dtype == "float32":
        return np.concatenate([run(each[None]) for each in x])
    stored = np.clip(np.rint(x / np.float32(0.05)) + 3, -128, 127).astype(np.int8)
    return (np.concatenate([run(each[None]) for each in stored]).astype(np.float32) - 3) * np.float32(0.05)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_tflite_file_with_the_trained_tensors_gives_what_the_run_gives(tmp_path, dtype):
    path = Net(dtype).path(tmp_path)
    run, x = trained_file(path)
    run.save_weights(tmp_path / "trained.tflite")
    before, after = path.read_bytes(), (tmp_path / "trained.tflite").read_bytes()
    assert run.model() == after and len(before) == len(after) and path.read_bytes() == before
    got, want = run.predict(x), given_by(tmp_path / "trained.tflite", x, dtype)
    if dtype == "int8":  # desktops round otherwise
        assert np.array_equal(got, given_by(tmp_path / "trained.tflite", x, dtype, micro))
        assert np.abs(got - want).max() < 0.051
    else:
        close(got, want)
    assert not np.allclose(want, given_by(path, x, dtype), atol=0.051)
    tensors = run.state_dict()
    assert {name for name in tensors if "kernel" in name} == {
        f"net/{layer}/kernel{end}" for end in ("", ".bias")
        for layer in ("conv_2d", "depthwise_conv_2d", "transpose_conv", "fully_connected")
    }  # fmt: skip
    assert tensors["net/conv_2d/kernel"].shape == (4, 3, 3, 2) and str(tensors["net/conv_2d/kernel"].dtype) == dtype


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_bytes_of_what_was_not_trained_stay(tmp_path, dtype):
    path = Net(dtype).path(tmp_path)
    run, _ = trained_file(path, policy="head")
    before, after = (np.frombuffer(each, np.uint8) for each in (path.read_bytes(), run.model()))
    places = [home.place for name, home in run.origin.stored.items() if name.startswith("fully_connected.")]
    inside = np.zeros(len(before), bool)
    for place in places:
        inside[place.at : place.at + int(np.prod(place.shape)) * np.dtype(place.dtype).itemsize] = True
    assert len(places) == 2 and (before != after).any() and np.array_equal(before[~inside], after[~inside])


def test_filters_that_were_made_safe_go_back_with_their_scale(tmp_path):
    path = Net("int8", extreme=True).path(tmp_path)
    run, x = trained_file(path)
    (group,) = run.origin.moved
    assert group.channels.tolist() == [False, True, False, False]
    (tmp_path / "trained.tflite").write_bytes(run.model())
    assert np.array_equal(run.predict(x), given_by(tmp_path / "trained.tflite", x, "int8", micro))
    before, after = (read(each).tensors for each in (path, tmp_path / "trained.tflite"))
    ((old, new),) = [(a.scales, b.scales) for a, b in zip(before, after, strict=True) if a.name == "net/conv_2d/kernel"]
    assert np.log2(new / old).tolist() == [0, *np.rint(np.log2(new / old))[1:2], 0, 0] and new[1] > 1000 * old[1]
    other, _ = trained_file(path, policy="head")
    assert other.state_dict()["net/conv_2d/kernel.bias"][1] == 2**31 - 5


def refused(path, capsys, *how):
    """What the command line says of it; nothing is trained, and nothing written."""
    target = path.parent / "new" / "w.tflite"
    assert (
        main(["run", str(path), "--steps", "1", "-o", str(path.parent / "out"), "--save-weights", str(target), *how])
        == 1
    )
    assert not target.exists() and not (path.parent / "out").exists()
    return capsys.readouterr().err


def test_what_cannot_go_back_is_refused_before_the_training(tmp_path, capsys):
    path = Net("int8", extreme=True, per_tensor=True).path(tmp_path)
    said = refused(path, capsys)
    assert (
        "net.tflite cannot take back trained values of conv_2d.weight: some of its filters count in a coarser" in said
    )

    hybrid = TfliteFile()
    w = hybrid.tensor(data=np.ones((3, 4), np.int8), scale=0.1, name="net/dense/kernel")
    b = hybrid.tensor(data=np.zeros(3, np.float32), name="net/dense/bias")
    x, y = hybrid.tensor((1, 4), "float32"), hybrid.tensor((1, 3), "float32")
    hybrid.op("FULLY_CONNECTED", [x, w, b], y, "FullyConnectedOptions", FusedActivationFunction=0)
    path = hybrid.write(tmp_path / "hybrid.tflite", [x], [y])
    said = refused(path, capsys)
    assert (
        "hybrid.tflite cannot take back trained values of dense.weight: it is stored as int8, and trains as float32"
        in said
    )
    quick = ["run", str(path), "--steps", "1", "--trace", "off", "--policy", "bias-only"]
    target = tmp_path / "w.tflite"
    assert main([*quick, "-o", str(tmp_path / "biases"), "--save-weights", str(target)]) == 0, capsys.readouterr().err
    assert target.read_bytes() != path.read_bytes()


@pytest.mark.parametrize("policy", ["full", "two.bias", "head+biases-2"])
def test_layers_that_share_a_bias_of_zeros_get_one_each(tmp_path, policy):
    file, rng = TfliteFile(), np.random.default_rng(0)
    b = file.tensor(data=np.zeros(4, np.float32), name="zeros")
    x = first = file.tensor((1, 4), "float32")
    for name in ("one", "two", "three"):
        w = file.tensor(data=rng.normal(size=(4, 4)).astype(np.float32), name=f"net/{name}/kernel")
        x = file.op("FULLY_CONNECTED", [x, w, b], file.tensor((1, 4), "float32"), "FullyConnectedOptions",
                    FusedActivationFunction=0)  # fmt: skip
    path = file.write(tmp_path / "net.tflite", [first], [x])
    x, y = rng.normal(size=(24, 4)).astype(np.float32), rng.integers(0, 4, 24)
    run = session.run(str(path), data=(x, y), policy=policy, steps=6, lr=0.05, trace="off", normalize="none")
    run.save_weights(tmp_path / "trained.tflite")
    close(run.predict(x), given_by(tmp_path / "trained.tflite", x, "float32"))
    assert not np.allclose(run.predict(x), given_by(path, x, "float32"), atol=1e-3)
    again = session.run(str(tmp_path / "trained.tflite"), data=(x, y), steps=2, trace="off", normalize="none")
    again.save_weights(tmp_path / "again.tflite")
    close(again.predict(x), given_by(tmp_path / "again.tflite", x, "float32"))
    before, after = read(path), read(tmp_path / "trained.tflite")
    assert len(after.tensors) - len(before.tensors) == {"full": 3, "two.bias": 1, "head+biases-2": 2}[policy]
    old, new = (np.frombuffer(each.read_bytes(), np.uint8) for each in (path, tmp_path / "trained.tflite"))
    places = [home.place.at for home in run.origin.stored.values() if not home.shared]
    different = old != new[-len(old) :]
    for at in places:
        different[at : at + 64] = False
    assert different.sum() <= 3  # numbers of tensors that operators read


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_tensors_that_share_a_buffer_get_one_each(tmp_path, dtype):
    """As converters leave them that merge equal constants: the biases of two layers, in one buffer."""
    import tflite

    content = bytearray(Net(dtype).path(tmp_path).read_bytes())
    graph = tflite.Model.GetRootAsModel(content, 0).Subgraphs(0)
    tensors = {graph.Tensors(i).Name().decode(): graph.Tensors(i)._tab for i in range(graph.TensorsLength())}
    shared = "net/transpose_conv/kernel.bias", "net/fully_connected/kernel.bias"
    where = [tensors[name].Pos + tensors[name].Offset(8) for name in shared]
    content[where[1] : where[1] + 4] = content[where[0] : where[0] + 4]
    (path := tmp_path / "shared.tflite").write_bytes(content)
    run, x = trained_file(path, policy="head")
    (tmp_path / "trained.tflite").write_bytes(run.model())
    tensors = run.state_dict()
    first, second = (tensors[f"net/{layer}/kernel.bias;{mine}.bias"] for layer, mine in (
        ("transpose_conv", "transpose_conv"), ("fully_connected", "fully_connected")))  # fmt: skip
    assert not np.array_equal(first, second)
    if dtype == "float32":
        close(run.predict(x), given_by(tmp_path / "trained.tflite", x, dtype))
    else:
        assert np.array_equal(run.predict(x), given_by(tmp_path / "trained.tflite", x, dtype, micro))


def test_a_file_that_was_changed_meanwhile_is_refused(tmp_path):
    path = Net("float32").path(tmp_path)
    run, _ = trained_file(path, steps=1)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="was changed since the network was read from it"):
        run.model()
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read again: No such file"):
        run.save_weights(tmp_path / "w.tflite")
