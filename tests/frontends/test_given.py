"""What Python callers give: numpy's numbers are taken, slips are refused in a line that names layer and argument."""

import numpy as np
import pytest
import small_mcu

import workbench
from workbench import frontends
from workbench.errors import WorkbenchError
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.text import print_graph

TWO, THREE = np.int64(2), np.int32(3)


def network(shape=(1, 2, 8, 8), **how):
    return Network("net", shape, **how)


def conv(net=None, label="c", **how):
    net = net or network()
    return net.model(net.conv2d(net.input, label, **{"channels": 4, "kernel": 3, **how}))


def pool(kind, size=2, **how):
    net = network()
    return net.model(getattr(net, kind)(net.input, "p", size, **how))


def dense(outputs, label="d", **how):
    net = network((1, 8))
    return net.model(net.dense(net.input, label, outputs, **how))


@pytest.mark.parametrize(("given", "plain"), [
    (lambda: conv(kernel=TWO), lambda: conv(kernel=2)),
    (lambda: conv(kernel=(TWO, THREE)), lambda: conv(kernel=(2, 3))),
    (lambda: conv(kernel=np.array([2, 3])), lambda: conv(kernel=[2, 3])),
    (lambda: conv(stride=TWO, dilation=TWO), lambda: conv(stride=2, dilation=2)),
    (lambda: conv(padding=TWO), lambda: conv(padding=2)),
    (lambda: conv(padding=np.array([1, 0])), lambda: conv(padding=(1, 0, 1, 0))),
    (lambda: conv(padding=np.array([1, 0, 2, 0])), lambda: conv(padding=(1, 0, 2, 0))),
    (lambda: conv(channels=np.int8(4), groups=TWO), lambda: conv(channels=4, groups=2)),
    (lambda: conv(scale=np.float32(0.5)), lambda: conv(scale=0.5)),
    (lambda: conv(network(np.array([1, 2, 8, 8]), seed=THREE)), lambda: conv(network([1, 2, 8, 8], seed=3))),
    (lambda: pool("max_pool2d", THREE, stride=TWO, padding=np.uint8(1)),
     lambda: pool("max_pool2d", 3, stride=2, padding=1)),
    (lambda: pool("avg_pool2d", TWO, stride=np.array([1, 2])), lambda: pool("avg_pool2d", 2, stride=(1, 2))),
    (lambda: dense(THREE), lambda: dense(3)),
    (lambda: frontends.load("mcunet-5fps", batch=TWO, classes=THREE),
     lambda: frontends.load("mcunet-5fps", batch=2, classes=3)),
])  # fmt: skip
def test_numpy_s_whole_numbers_are_taken(given, plain):
    given, plain = given(), plain()
    assert print_graph(given.graph) == print_graph(plain.graph)
    assert all(np.array_equal(given.weights[name], plain.weights[name]) for name in plain.weights)
    assert all(type(size) is int for kind in given.graph.types.values() for size in kind.shape)


def test_operators_take_numpy_s_numbers_too():
    net = network()
    w = net.build.parameter("w", (np.int64(4), TWO, THREE, THREE))
    y = net.build.conv2d(net.input, w, channels=np.int64(4), kernel_size=np.array([3, 3]).tolist(), groups=np.int64(1))
    assert y.shape == (1, 4, 6, 6) and "np." not in print_graph(net.build.graph(y))


X, Y = np.zeros((10, 64), np.float32), np.zeros(10, np.int32)
RUNS = [
    ({"data": (X, Y)}, "data: every sample is of one class, 0"),
    ({"data": X}, "data has no labels, so its input is the target: 64 values; mlp gives 10"),
    ({"data": {"a": X}}, "data has arrays called a\n.*called x and y, or train_x"),
    ({"data": (X, Y, X)}, r"data is 3 arrays\n.*give \(x, y\)"),
    ({"data": 5}, "data is 5\n.*a data set's name, a .npz or .csv file"),
    ({"data": "digits", "split": 0.5}, "digits: .*split .*already.*\n.*leave out --split"),
    ({"pretrain": (X, Y)}, "data: every sample is of one class, 0"),
    ({"weights": "weights.npz"}, "weights for mlp are arrays by name; got 'weights.npz'"),
    ({"weights": [X]}, "weights for mlp are arrays by name"),
    ({"sram": [1]}, r"SRAM of \[1\] bytes cannot be mapped"),
    ({"sram": 98304.0}, "SRAM of 98304.0 bytes cannot be mapped"),
    ({"board": 5}, "no board is called 5"),
    ({"board": ["nrf52840"]}, "no board is called"),
    ({"schedule": ["vanilla"]}, "no schedule is called"),
    ({"passes": None}, "passes are a text like"),
    ({"passes": ["-in-place"]}, "passes are a text like"),
    ({"policy": ["full"]}, "a policy is a text or an UpdatePolicy"),
    ({"optimizer": "sgd"}, "an optimizer is a workbench.policy.Optimizer; got 'sgd'"),
    ({"classes": 0}, "classes is a whole number of 1 or more; got 0"),
    ({"classes": "3"}, "classes is a whole number of 1 or more; got '3'"),
    ({"batch": "4"}, "a batch is a whole number of samples, at least one; got '4'"),
    ({"batch": True}, "a batch is a whole number of samples"),
    ({"seed": -1}, "seed is -1"),
    ({"epoch": 2}, "there is no option 'epoch'.*\n.*did you mean epochs"),
]


@pytest.mark.parametrize(("how", "words"), RUNS, ids=lambda case: str(case)[:30])
def test_what_a_run_cannot_be_given_is_named(how, words):
    with pytest.raises(WorkbenchError, match=words):
        workbench.run("mlp", steps=1, **{"trace": "off", **how})


FIRST = ["last-1"], ["optimized"]
CALLS = [
    (lambda: workbench.run(None), "a network is a name, a file or a Model; got None"),
    (lambda: workbench.run(network()), "got a Network\n.*net.model"),
    (lambda: workbench.load(3), "a network is loaded by its name or file; got 3"),
    (lambda: workbench.load("mlp", seed="x"), "a seed is a whole number of 0 or more; got 'x'"),
    (lambda: workbench.load("mlp", 10**12), "more than a network for a microcontroller has"),
    (lambda: workbench.compile(network()), "a network is a name, a file or a Model"),
    (lambda: workbench.pretrain("mlp", "digit"), "did you mean digits"),
    (lambda: workbench.run(frontends.load("mlp"), classes=3), "mlp is made already: its classes are what they are"),
    (lambda: workbench.compare("mlp", *FIRST, foo=1), "there is no option 'foo'\n.* passes, board, sram, .*weights"),
    (lambda: workbench.compare("mlp", "full"), "policies is a list of texts; got 'full'"),
    (lambda: workbench.compare("mlp", ["full"], "vanilla"), "schedules is a list of texts"),
    (lambda: workbench.compare("mlp", None, ["vanilla"]), "policies is a list of texts; got None"),
    (lambda: workbench.compare("mlp", ["full"], {}), "schedules is a list of texts"),
    (lambda: workbench.run_seeds("mlp", policy=[1]), "a policy is"),
    (lambda: workbench.compare("mlp", *FIRST, jobs="2"), "jobs is '2': at least one"),
    (lambda: workbench.compare("mlp", *FIRST, classes=3), "mlp has 10 classes"),
    (lambda: workbench.compare("mlp", *FIRST, sram="1.5K"), "SRAM of 1536 bytes cannot be mapped"),
    (lambda: workbench.compare("mlp", *FIRST, weights={}), "fc1.weight is missing"),
    (lambda: workbench.compare("mlp", *FIRST, data=(X, Y)), "every sample is of one class"),
    (lambda: in_int8("mlp"), "a Model is quantized; got 'mlp'"),
    (lambda: in_int8(frontends.load("mlp"), "x"), r"samples to calibrate with are finite numbers \(n, 64\)"),
    (lambda: in_int8(frontends.load("mlp"), X[:, :63]), r"got float32 \(10, 63\)"),
    (lambda: in_int8(frontends.load("mlp"), X * np.nan), "finite numbers"),
]


@pytest.mark.parametrize(("call", "words"), CALLS)
def test_what_else_cannot_be_given_is_named(call, words):
    with pytest.raises(WorkbenchError, match=words):
        call()


def build(act):
    return lambda: act(network())


LAYERS = [
    *[(lambda value=value: conv(kernel=value), f"c: kernel are 2 whole numbers; got {words}\n.*each 1 or more")
      for value, words in ((0, 0), (-1, -1), (2.5, 2.5), (None, None), ("3", "'3'"), (True, True))],
    (lambda: conv(kernel=(3, 3, 3)), r"c: kernel are 2 whole numbers; got \(3, 3, 3\)"),
    *[(lambda value=value: conv(stride=value), "c: strides are 2 whole numbers")
      for value in (0, None, 0.5, (1, 2, 3))],
    *[(lambda value=value: conv(padding=value), "c: padding are 4 whole numbers; got .*\n.*each 0 or more")
      for value in (-1, "same", (1, 1, 1), None)],
    *[(lambda value=value: conv(dilation=value), "c: dilation are 2 whole numbers") for value in (0, -2, "a")],
    *[(lambda value=value: conv(groups=value), "c: groups is a whole number of 1 or more")
      for value in (0, -1, 1.0, None)],
    (lambda: conv(groups=3), "c: 3 groups do not divide 2 input and 4 output channels"),
    *[(lambda value=value: conv(channels=value), "c: channels is a whole number of 1 or more")
      for value in (0, 2.0, "4", None)],
    (lambda: conv(channels=10**12), "c.weight of .* more than a network for a microcontroller has"),
    *[(lambda value=value: conv(scale=value), "c: scale is a number") for value in ("x", float("nan"))],
    *[(lambda value=value: pool("max_pool2d", value), "p: size are 2 whole numbers") for value in (0, 2.5, None)],
    (lambda: pool("avg_pool2d", 0), "p: size are 2 whole numbers; got 0"),
    (lambda: pool("max_pool2d", stride=0), "p: strides are 2 whole numbers; got 0"),
    (lambda: pool("avg_pool2d", padding=-1), "p: padding are 4 whole numbers; got -1"),
    *[(lambda value=value: dense(value), "d: outputs is a whole number of 1 or more") for value in (0, -1, 2.0, None)],
    (lambda: dense(10**12), "more than a network"),
    *[(lambda name=name: conv(label=name), "a layer cannot be called")
      for name in (None, 3, "", "a b", "\x1b[31m", "a" * 10**5)],
    (build(lambda net: net.relu(net.input, "a\nb")), r"a layer cannot be called 'a\\nb'"),
    (build(lambda net: net.conv2d("c", "c", 4, 3)), "c reads 'c', which this network does not have"),
    (build(lambda net: net.dense(net, "c", 4)), "c reads a Network"),
    (build(lambda net: net.relu(network((1, 3)).input, "c")), "c reads a Value, which this network does not have"),
    (build(lambda net: net.add(net.input, 3, "c")), "c reads 3"),
    (build(lambda net: net.concatenate([net.input, net.input], label="c")), "c reads .*which this network does"),
    (build(lambda net: net.concatenate(net.input, net.input, label="c", axis="1")), "c: axis is a whole number"),
    (build(lambda net: net.flatten(None)), "flatten reads None"),
    *[(build(lambda net, axis=axis: net.mean(net.input, "m", axis)), f"m: {words}")
      for axis, words in ((0, "axis is a whole number of 1"), (4, "an axis is one of 1 to 3"), ((), "an axis is one"),
                          ("1", "axis is a whole"), (None, "axis is a whole"))],
    (build(lambda net: net.transpose(net.input, "t", (1, 0, 2, 3))), "t: the batch axis, 0, stays the first"),
    (build(lambda net: net.transpose(net.input, "t", (0, 1, 1, 3))), "transpose: axes name each of the 4 axes"),
    (build(lambda net: net.transpose(net.input, "t", (0, 1))), "t: axes are 4 whole numbers"),
    (build(lambda net: net.reshape(net.input, "r", (3, 5))), r"reshape: .* has 128 elements, \(1, 3, 5\) 15"),
    (build(lambda net: net.reshape(net.input, "r", -1)), "r: shape is a whole number of 1 or more"),
    (build(lambda net: net.slice(net.input, "s", 2, 8, 9)), r"s: nothing of .* lies in \[8, 9\) along axis 2"),
    (build(lambda net: net.slice(net.input, "s", 2, 0, 4, step=0)), "s: step is a whole number of 1 or more"),
    (build(lambda net: net.slice(net.input, "s", (1, 2), 0, 4)), "s: slices along one axis"),
    (build(lambda net: net.pad(net.input, "p", -1)), "p: padding are 4 whole numbers"),
    (build(lambda net: net.resize_nearest(net.input, "z", 0)), "z: size are 2 whole numbers"),
    (build(lambda net: net.conv2d_transpose(net.input, "u", 4, 3, stride=0)), "u: strides are 2 whole numbers"),
    (build(lambda net: net.conv2d_transpose(net.input, "u", 4, 3, output_padding=5)), "output_padding .* does not fit"),
    (build(lambda net: net.model(None)), "model reads None"),
    (build(lambda net: net.model(net.input, data=(X, Y[:9]))), "x has 10 samples, y 9"),
    (build(lambda net: net.model(net.input, data="digit")), "did you mean digits"),
    (build(lambda net: net.dense(net.input, "d", 3)), r"d reads float32 \(1, 2, 8, 8\); it needs .*: see flatten"),
    (lambda: conv(network((1, 8))), r"c reads float32 \(1, 8\); it needs \(batch, channels, rows, columns\)"),
    *[(lambda shape=shape: network(shape), "input_shape is a batch and one to three more sizes")
      for shape in (8, None, "abc", (1, 0, 8, 8), (1, -1), (1, 2.0, 8), (True, 2), (), (8,), (1, 2, 3, 4, 5))],
    (lambda: network((1, 10**9, 10**9)), "the input of .* more than a network"),
    (lambda: network(seed=-1), "seed is a whole number of 0 or more"),
    *[(lambda name=name: Network(name, (1, 8)), "a network cannot be called")
      for name in (None, 3, "", "\x1b[31mx", "\u202ea")],
    (build(lambda net: net.batch_norm(3, mean=[0], var=[1])), "there is no layer 3"),
    (build(lambda net: (conv(net), net.batch_norm("c", mean="x", var=[1] * 4))), "mean is numbers"),
    (build(lambda net: (conv(net), net.batch_norm("c", mean=[0] * 4, var=[1] * 4, epsilon="x"))), "epsilon is a numb"),
    (build(lambda net: net.build.conv2d(net.input, 3, channels=4, kernel_size=(3, 3))), "operand 1 is 3, no value"),
    (build(lambda net: net.build.conv2d(net.input, net.build.parameter("w", (4, 2, 3, 3)), channels=4,
                                        kernel_size=(3, 3), groups="1")), "groups and channels are whole numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), LAYERS)
def test_what_a_layer_cannot_be_given_is_named(call, words):
    with pytest.raises(WorkbenchError, match=words) as caught:
        call()
    assert len(caught.value.message) < 500 and caught.value.message.isprintable()


def test_what_was_refused_leaves_the_network_as_it_was():
    net = network()
    for slip in ({"kernel": 0}, {"groups": 0}, {"stride": 0}, {"channels": 0}):
        with pytest.raises(WorkbenchError):
            conv(net, **slip)
    assert print_graph(conv(net).graph) == print_graph(conv().graph)


def test_a_comparison_takes_classes_weights_and_another_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "workbench.study.compare.in_processes", lambda do, jobs, *_: ((i, do(j)) for i, j in enumerate(jobs))
    )
    path = str(small_mcu.write(tmp_path))
    weights = dict(frontends.load(path, classes=5).weights)
    losses = []
    for bias in (0, 1000):
        weights["head.bias"] = np.full(5, bias, np.int32) * np.arange(5, dtype=np.int32)
        how = {"classes": 5, "weights": weights, "sram": "96K", "steps": 1, "trace": "off"}
        (run,) = workbench.compare(path, *FIRST, **how).runs
        assert run.meta["memory"]["sram_limit"] == 96 * 1024 and run.meta["weights_from"] == "given"
        losses.append(run.meta["loss"])
    assert losses[0] != losses[1] == workbench.run(path, policy="last-1", **how).meta["loss"]
