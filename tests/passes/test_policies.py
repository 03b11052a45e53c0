"""Update policies: what they mark, and that a part of a weight is updated as the same part of a full update is."""

import json

import numpy as np
import pytest
from graphs import feeds
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import frontends
from workbench.autodiff import training_step
from workbench.cli.output import names
from workbench.errors import PolicyError
from workbench.frontends.layers import Network
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.liveness import liveness
from workbench.passes.apply_policy import apply_policy, weighted_layers
from workbench.passes.pipeline import run_schedule
from workbench.policy import Optimizer, Part, UpdatePolicy, as_given, parse_policies, parse_policy, written

LENET = frontends.load("lenet").graph


def marked(graph: Graph, policy: str) -> dict:
    """Parameter -> needs_grad, of those that need one."""
    types = apply_policy(graph, parse_policy(policy)).types
    return {name: types[name].needs_grad for name in graph.parameters if types[name].needs_grad}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("bias-only+head", ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.weight", "fc2.bias"]),
        ("biases-2", ["fc1.bias", "fc2.bias"]),
        ("last-1", ["fc2.weight", "fc2.bias"]),
        ("conv1", ["conv1.weight", "conv1.bias"]),
        ("conv1.weight+3", ["conv1.weight", "fc2.weight", "fc2.bias"]),
        ("conv1.bias+conv2.weight", ["conv1.bias", "conv2.weight"]),
        ("-2", ["fc1.weight", "fc1.bias"]),
    ],
)
def test_what_a_policy_marks(policy, expected):
    assert marked(LENET, policy) == dict.fromkeys(expected, True)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("conv*", {"conv1.weight": True, "conv1.bias": True, "conv2.weight": True, "conv2.bias": True}),
        ("*.bias", dict.fromkeys(["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias"], True)),
        ("fc?.bias+conv[2-9]:0.25", {"conv2.weight": (1, 2), "conv2.bias": True, "fc1.bias": True, "fc2.bias": True}),
        ("[!c]*.weight", {"fc1.weight": True, "fc2.weight": True}),
        ("conv2*t:0.5", {"conv2.weight": (1, 4)}),
        ("c*:0.5+*1.weight", {"conv1.weight": True, "conv2.weight": (1, 4), "fc1.weight": True,
                              "conv1.bias": True, "conv2.bias": True}),
    ],
)  # fmt: skip
def test_globs_match_whole_names_of_layers_and_of_parameters(policy, expected):
    assert marked(LENET, policy) == {name: expected[name] for name in LENET.parameters if name in expected}


def test_a_glob_of_names_with_dots():
    graph = frontends.load("mobilenet").graph
    assert set(marked(graph, "block1.*")) == {name for name in graph.parameters if name.startswith("block1.")}
    assert set(marked(graph, "block*.depthwise.bias")) == {
        name for name in graph.parameters if name.endswith(".depthwise.bias")
    }


def test_globs_in_a_file_and_in_python(tmp_path):
    (tmp_path / "p.toml").write_text('biases = ["f*", "conv2.bias"]\n[weights]\n"conv*" = 0.5\n"*2.weight" = 0.25\n')
    wanted = {"conv1.weight": True, "conv2.weight": (1, 4), "conv2.bias": True, "fc1.bias": True,
              "fc2.weight": (1, 8), "fc2.bias": True}  # fmt: skip
    assert marked(LENET, str(tmp_path / "p.toml")) == wanted
    (tmp_path / "p.json").write_text(json.dumps({"biases": "f*", "weights": {"conv?": 1}}))
    assert set(marked(LENET, str(tmp_path / "p.json"))) == {"conv1.weight", "conv2.weight", "fc1.bias", "fc2.bias"}
    policy = UpdatePolicy("mine", (Part("*2", 0.5),), ("fc*",))
    types = apply_policy(LENET, policy).types
    assert (types["conv2.weight"].needs_grad, types["fc2.weight"].needs_grad) == ((1, 4), (1, 16))
    assert [types[f"{name}.bias"].needs_grad for name in ("conv1", "fc1", "fc2")] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[weights]\n"Conv*" = 1',
            "'Conv\\*' matches no layer and no parameter of the network, which has conv1, conv2",
        ),
        ('[weights]\n"*.bias" = 1', r"p.toml: \*.bias names biases alone.*\n  help: name them under biases"),
        ('biases = "*.weight"', r"p.toml: \*.weight names weights alone\n  help: name them under \[weights\]"),
    ],
)
def test_a_glob_that_a_file_misplaces(text, words, tmp_path):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(PolicyError, match=words):
        apply_policy(LENET, parse_policy(str(tmp_path / "p.toml")))


def words_network() -> Graph:
    """Layers that are called as words of policies, and a parameter that is called as a layer is."""
    net = Network("words", (1, 4))
    x = net.input
    for name in ("0", "head", "full", "last-2"):
        x = net.dense(x, name, 4)
    x = net.multiply(x, net.build.parameter("gain", (1, 4)), "gain")
    x = net.add(x, net.build.parameter("level", (1, 4)), "level")
    return net.build.graph(net.dense(x, "2", 3))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("=head", ["head.weight", "head.bias"]),
        ("head", ["2.weight", "2.bias"]),
        ("=0:0.5+=full.weight", ["0.weight", "0.bias", "full.weight"]),
        ("0", ["0.weight", "0.bias"]),
        ("=2", ["2.weight", "2.bias"]),
        ("2", ["full.weight", "full.bias"]),
        (
            "= last-2 + bias-only",
            ["last-2.weight", "0.bias", "head.bias", "full.bias", "last-2.bias", "level", "2.bias"],
        ),
        ("gain", ["gain", "level"]),
        ("=gain", ["gain"]),
        ("=level", ["level"]),
        ('="head"', ["head.weight", "head.bias"]),
        ("='head':0.5+=gain", ["head.weight", "head.bias", "gain"]),
        ("h?ad", ["head.weight", "head.bias"]),
    ],
)
def test_a_word_of_policies_as_a_name(policy, expected):
    graph = words_network()
    halves = {"0.weight": (1, 2), "head.weight": (1, 2)} if ":0.5" in policy else {}
    assert marked(graph, policy) == {name: halves.get(name, True) for name in expected}


def test_what_a_network_trains_itself():
    """Exactly these, whatever they are called and whichever layers they belong to."""
    graph = words_network()
    names = ["0.bias", "head.weight", "gain", "2.bias"]
    policy = as_given(iter([*names, "gain"]))
    assert policy.name == "as-given"
    types = apply_policy(graph, policy).types
    assert [name for name in graph.parameters if types[name].needs_grad] == names
    with pytest.raises(PolicyError, match="policy as-given: no layer and no parameter of the network is called 'lost'"):
        apply_policy(graph, as_given(["0.bias", "lost"]))
    with pytest.raises(PolicyError, match="policy as-given updates nothing"):
        apply_policy(graph, as_given([]))


def test_a_word_of_policies_as_a_name_in_a_file(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('biases = ["=0", "=level"]\n[weights]\n"=head" = 0.5\n"=gain" = 1\nhead = 1\n')
    wanted = {"0.bias": True, "head.weight": (1, 2), "gain": True, "level": True, "2.weight": True}
    assert marked(words_network(), str(path)) == wanted


NAMES = [
    "head",
    "a+b",
    "a b",
    " a",
    "a:0",
    'say "a"',
    "it's",
    "*",
    "[a]",
    "=a",
    "net.json",
    "a,b",
    "last-x",
    "+",
    '"',
    "ä/ö",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_written(name):
    """Alone, with a fraction, among others, and in a list of policies."""
    term = written(name)
    for text in (term, f"full+{term}", f"{term}+bias-only"):
        assert Part(f"={name}") in parse_policy(text).weights or Part(name) in parse_policy(text).weights
    (part,) = parse_policy(f"{term}:0.5").weights
    assert (part.layers.removeprefix("=" * term.startswith("=")), part.fraction) == (name, 0.5)
    assert names(f"full,{term},head+{term}", "--policies") == ["full", term, f"head+{term}"]


def test_a_name_in_a_file_is_written_as_it_is(tmp_path):
    path = tmp_path / "p.toml"
    for name in NAMES:
        path.write_text(f"[weights]\n{json.dumps(written(name, in_file=True), ensure_ascii=False)} = 1\n")
        (part,) = parse_policy(str(path)).weights
        assert part.layers in (name, f"={name}")


def test_messages_write_such_names_so():
    with pytest.raises(PolicyError) as caught:
        apply_policy(words_network(), parse_policy("=haed"))
    words = "no layer and no parameter of the network is called 'haed'; it has =0, =head, =full, =last-2, gain, =2"
    assert str(caught.value) == f"policy =haed: {words}\n  help: did you mean =head?"
    with pytest.raises(PolicyError, match="which has =0, =head, =full, =last-2, gain, =2\n"):
        apply_policy(words_network(), parse_policy("nothing"))


def test_parts_of_weights():
    assert marked(LENET, "conv2:0.25")["conv2.weight"] == (1, 2)
    assert marked(LENET, "conv2:0.01")["conv2.weight"] == (1, 1)  # at least one channel
    assert marked(LENET, "conv2:0.25+last-3:0.5")["conv2.weight"] == (1, 4)  # the larger part wins
    assert marked(LENET, "fc1:1")["fc1.weight"] is True
    depthwise = marked(frontends.load("mobilenet").graph, "block1.depthwise:0.5")
    assert depthwise["block1.depthwise.weight"] == (0, 16)


def test_a_file_says_the_same_as_a_text(tmp_path):
    """Biases of the last two layers, 25 % of the input channels of layers 1 and 2."""
    (tmp_path / "mine.toml").write_text('biases = "last-2"\nchannels = "largest"\n[weights]\nconv2 = 0.25\n2 = 0.25\n')
    (tmp_path / "mine.json").write_text(json.dumps({"biases": "last-2", "weights": {"conv2": 0.25, "2": 0.25}}))
    policy = parse_policy(str(tmp_path / "mine.toml"))
    assert (policy.name, policy.channels) == ("mine", "largest")
    assert policy.weights == (Part("conv2", 0.25), Part("2", 0.25))
    wanted = {"conv2.weight": (1, 2), "fc1.weight": (1, 16), "fc1.bias": True, "fc2.bias": True}
    assert marked(LENET, str(tmp_path / "mine.toml")) == marked(LENET, str(tmp_path / "mine.json")) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("biases = 3", "biases are"),
        ("weights = 2", "weights are layer = fraction"),
        ("[weights]\nconv2 = 1.5", r"p.toml, conv2: a fraction of channels is a number in \(0, 1\]; got 1.5"),
        ('[weights]\nconv2 = "much"', "a fraction of channels is a number"),
        ("", "p.toml names nothing\n  help: set biases"),
        ('biases = "none"', "p.toml names nothing"),
        ("layers = 3", "nothing is called layers"),
        ("biases = [", "is not TOML"),
        ('channels = "best"\nbiases = "all"', "channels are first or largest"),
    ],
)
def test_a_file_that_says_nothing_sensible(text, words, tmp_path):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(PolicyError, match=words):
        parse_policy(str(tmp_path / "p.toml"))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("ful", "'ful' is neither a policy nor a layer of the network, which has conv1, conv2, fc1, fc2"),
        ("last-9", "wants 9 weighted layers; the network has 4"),
        ("4", "there is no layer 4; the network has 4, from 0"),
        ("last-0", "no policy is called 'last-0'"),
        ("conv2:0", r"policy conv2:0, conv2: a fraction of channels is a number in \(0, 1\]; got 0\n  help: 0.25"),
        ("conv2:2", r"policy conv2:2, conv2: a fraction of channels is a number in \(0, 1\]; got 2\n  help: 0.25"),
        ("conv2:x", r"policy conv2:x, conv2: a fraction of channels is a number in \(0, 1\]; got x\n  help: 0.25"),
        ("biases-9", "help: the last one that fits is biases-4"),
        ("d.txt", r"d.txt: policy files end in .toml or .json"),
        ("", "no policy is called ''"),
        ("missing.toml", r"missing\.toml: No such file"),
        (
            "cnv*",
            r"'cnv\*' matches no layer and no parameter .* has conv1, conv2, fc1, fc2\n  help: did you mean conv\d\?",
        ),
        ("conv*.bais", r"matches no layer and no parameter .*\n  help: did you mean conv[12].bias\?"),
        ("*.bias:0.5", r"\*.bias names biases alone, which are updated as a whole\n  help: leave out the fraction"),
        ("conv1.bias:0.5", "names biases alone, which are updated as a whole"),
        ("conv* fc1", "no policy is called 'conv\\* fc1'"),
        ("=", "policy =: = names nothing"),
        ("as-given+head", "as-given stands alone, for a network that says which parameters it trains"),
        ('="conv1', 'policy ="conv1: ="conv1 names nothing'),
        (
            "=conv1:0:0.5",
            r"=conv1: a fraction of channels .* got 0:0.5\n  help: 0.25 .*; a name with : stands in quotes",
        ),
        ("=conv", "no layer and no parameter of the network is called 'conv'; it has conv1"),
        ("=conv*", "no layer and no parameter of the network is called 'conv\\*'; it has conv1"),
        ("*:2", r"policy \*:2, \*: a fraction of channels is a number"),
    ],
)
def test_a_slip_is_told(policy, words):
    with pytest.raises(PolicyError, match=words):
        apply_policy(LENET, parse_policy(policy))


def test_a_layer_that_a_file_misspells(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("[weights]\nconv9 = 1\n")
    with pytest.raises(PolicyError) as caught:
        apply_policy(LENET, parse_policy(str(path)))
    hint = "did you mean conv2? it has conv1, conv2, fc1, fc2"
    assert str(caught.value) == f"{path}: 'conv9' is no layer of the network\n  help: {hint}"


@pytest.mark.parametrize("text", ["null", "[]", "3"])
def test_a_json_file_is_a_table(text, tmp_path):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(PolicyError, match="is a table of name, biases, channels and weights"):
        parse_policy(str(tmp_path / "p.json"))


def test_what_is_no_policy_is_told():
    with pytest.raises(PolicyError, match=r"a policy is a text or an UpdatePolicy; got \{'weights': 1\}"):
        parse_policy({"weights": 1})


def test_two_policies_of_one_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.toml").write_text('biases = "all"')
    texts = [str(tmp_path / folder / "p.toml") for folder in ("a", "b")]
    with pytest.raises(PolicyError, match=r"a/p.toml and .*b/p.toml are both called 'p'\n  help: a file is called"):
        parse_policies(["full", *texts])
    assert [policy.name for policy in parse_policies(["full", "head", texts[0]])] == ["full", "head", "p"]


@st.composite
def networks(draw) -> Graph:
    """Convolutions (plain, grouped, depthwise) with a residual, a pooling and dense layers."""
    net = Network("net", (draw(st.integers(1, 2)), draw(st.integers(1, 3)), 5, 4))
    x = net.relu(net.conv2d(net.input, "stem", 4, 3, padding=1), "stem")
    for depth in range(draw(st.integers(1, 3))):
        groups = draw(st.sampled_from([1, 2, 4]))
        y = net.conv2d(x, f"conv{depth}", 4, draw(st.sampled_from([1, 3])), padding=0, groups=groups)
        if y.shape == x.shape and draw(st.booleans()):
            y = net.add(x, y, f"add{depth}")
        x = draw(st.sampled_from([net.relu, net.relu6]))(y, f"act{depth}") if draw(st.booleans()) else y
        if min(x.shape[2:]) < 3:
            break
    return net.build.graph(net.dense(net.flatten(x), "fc", 3))


@st.composite
def policies(draw, graph: Graph) -> str:
    names = [layer.name for layer in weighted_layers(graph)]
    terms = draw(st.lists(st.sampled_from(["bias-only", "head", "biases-2"]), max_size=1))
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        fraction = draw(st.sampled_from(["", ":0.5", ":0.3"]))
        terms.append(name + fraction)
    return "+".join(terms)


optimizers = st.builds(Optimizer, momentum=st.sampled_from([0, 0.5]), weight_decay=st.sampled_from([0, 0.1]))


@settings(deadline=None, max_examples=60)
@given(data=st.data(), optimizer=optimizers, seed=st.integers(0, 10**6))
def test_an_updated_part_is_that_of_a_full_update(data, optimizer, seed):
    """And everything else stays, to the bit."""
    forward = data.draw(networks())
    policy = data.draw(policies(forward))
    sparse_forward = apply_policy(forward, parse_policy(policy))
    sparse = training_step(sparse_forward, optimizer)
    full = training_step(apply_policy(forward, parse_policy("full")), optimizer)
    values = feeds(full, seed)
    before = {name: values[name] for name in sparse.arguments}
    for name in sparse.state:
        before[name] = values[name][tuple(map(slice, sparse.types[name].shape))]
    got, want = interpret(sparse, before), interpret(full, values)
    for name in forward.parameters:
        kind = sparse_forward.types[name]
        part = tuple(map(slice, kind.updated.shape)) if kind.needs_grad else (slice(0, 0),)
        expected = values[name].copy()
        expected[part] = want[name][part]
        assert np.allclose(got[name][part], expected[part], rtol=1e-5, atol=1e-6), f"{policy}: {name}"
        got[name][part] = expected[part] = 0
        assert np.array_equal(got[name], expected), f"{policy} changed frozen elements of {name}"


@settings(deadline=None, max_examples=30)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_of_a_partly_updated_layer_only_the_part_is_kept(data, seed):
    """What lives from the forward into the backward: masks, and of a partly updated layer's input the part alone."""
    forward = data.draw(networks())
    weights = [layer.name for layer in weighted_layers(forward)[1:]]
    policy = "+".join(f"{name}:0.5" for name in data.draw(st.lists(st.sampled_from(weights), min_size=1, unique=True)))
    marked_forward = apply_policy(forward, parse_policy(policy))
    graph, _ = run_schedule(training_step(marked_forward), "vanilla")
    loss = graph.analysis.phases.index("loss")
    late = {name for node in graph.analysis.work[loss + 1 :] for name in node.operands}
    early = {name for node in graph.analysis.work[:loss] for name in node.results}
    read_again = [name for name in sorted(late & early) if graph.types[name].dtype == "float32"]
    labels = {graph.label(name) for name in read_again}
    logits = {graph.label(node.operands[0]) for node in graph.nodes if node.op == "nn.softmax_cross_entropy"}
    whole = {name for name, kind in marked_forward.types.items() if kind.needs_grad is True and name.endswith("weight")}
    if not whole:  # half of so few channels may be all of them
        assert all(label.startswith("kept.") for label in labels - logits), f"{policy}: {labels}"


def test_of_lenet_only_two_channels_live_on():
    def bytes_behind_the_loss(policy):
        graph, _ = run_schedule(training_step(apply_policy(LENET, parse_policy(policy))), "vanilla")
        loss = graph.analysis.phases.index("loss")
        return sum(s.bytes for s in liveness(graph).arena if s.lower < loss and s.upper > loss + 1)

    frozen, part, whole = (bytes_behind_the_loss(policy) for policy in ("bias-only", "bias-only+conv2:0.25", "full"))
    assert part - frozen == 2 * 4 * 4 * 4  # two channels of 4×4 floats
    assert whole > part


def test_a_frozen_layer_passes_the_gradient_on():
    graph = training_step(apply_policy(LENET, parse_policy("conv1+fc2")))
    updated = {node.operands[0] for node in graph.nodes if node.op == "nn.sgd"}
    assert updated == {"conv1.weight", "conv1.bias", "fc2.weight", "fc2.bias"}
    made = {node.label for node in graph.nodes}
    assert "d.conv1.relu" in made or "d.conv1.bias_add" in made
    assert not made & {"d.conv2.weight", "d.fc1.weight", "d.input0"}
