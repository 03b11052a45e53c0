"""The cache of compiled steps: an entry gives back exactly what was compiled; any other source, network or option is a
miss, and so is an entry that is not whole. Without a cache all works.
"""

import errno
import functools
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_models import drawn

from workbench import cache, compiled_cache, frontends, session
from workbench.boards import get as board
from workbench.cli import main
from workbench.codegen import generate
from workbench.errors import PolicyError, WorkbenchError
from workbench.ir import op as ops
from workbench.objective import Objective
from workbench.policy import Optimizer

key_of = compiled_cache.key_of  # the suite's own fixture has every step compiled anew


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled_cache, "key_of", key_of)
    return tmp_path / "cache"


@pytest.fixture
def compilations(monkeypatch):
    """Schedules of the steps that were really compiled."""
    made, run = [], session.run_passes_with
    monkeypatch.setattr(session, "run_passes_with", lambda *asked: made.append(asked[2]) or run(*asked))
    return made


def told(compiled) -> str:
    """All of a compiled step but its seconds, bytes of arrays included."""
    arrays = [(name, values.dtype.str, values.shape, values.tobytes()) for name, values in compiled.weights.items()]
    orders = [(name, axis, order.tolist(), order.dtype.str) for name, axes in compiled.orders.items()
              for axis, order in axes.items()]  # fmt: skip
    rest = (compiled.policy, compiled.optimizer, compiled.schedule, compiled.passes, compiled.objective)
    return "\n".join(map(repr, (compiled.graph, compiled.memory, arrays, orders, rest, compiled)))


def whole(model, *asked, **options):
    """Compiled twice: the second time from the cache; it is the same, and so is all that is made of it."""
    first, second = (session.compile(model, *asked, **options) for _ in range(2))
    assert told(first) == told(second)
    assert first.graph == second.graph and first.memory == second.memory and second.model is first.model
    projects = [generate(made.graph, made.memory, made.weights, board("virtual-m4")) for made in (first, second)]
    assert projects[0] == projects[1]
    return second


@pytest.mark.parametrize(
    ("name", "policy", "schedule", "options"),
    [
        ("lenet", "full", "optimized", {}),
        ("lenet", "last-2", "vanilla", {"optimizer": Optimizer(0.9, 1e-4, 2, clip=1.0)}),
        ("mobilenet", "block1.expand:0.5+bias-only", "reordered", {"passes": "recompute"}),
        ("mobilenet-int8", "last-3", "optimized", {"passes": "input-rows"}),
    ],
)
def test_what_was_kept_comes_back_as_it_was(name, policy, schedule, options, kept, compilations):
    model = frontends.load(name)
    assert whole(model, policy, schedule, **options).passes
    assert len(compilations) == 1 and [path.suffix for path in kept.iterdir()] == [".step"]


@given(seed=st.integers(0, 10**6))
@example(seed=3992)  # the largest of channels whose order is given
@settings(deadline=None, max_examples=5)
def test_random_networks_come_back_as_they_were(seed, tmp_path_factory):
    case = drawn(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(compiled_cache, "key_of", key_of)
        try:
            whole(case.model, case.policy, case.schedule, optimizer=case.optimizer)
        except PolicyError:  # as in Drawn.compiled
            whole(case.model, "full", case.schedule, optimizer=case.optimizer)


def test_the_largest_channels_keep_their_order(kept, compilations):
    model = frontends.load("lenet")
    policy = replace(model.policy("conv2:0.5"), channels="largest")
    assert whole(model, policy).orders and len(compilations) == 1


def test_the_seconds_are_those_of_this_call(kept, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(session.time, "perf_counter", lambda: float(next(clock)))
    first, second = session.compile("mlp"), session.compile("mlp")
    assert second.seconds == 1 < first.seconds and second.passes == first.passes
    assert (first.kept, second.kept) == (False, True)


def test_what_passes_took_is_said_to_be_of_the_kept_step(kept, capsys):
    told = []
    for _ in range(2):
        assert main(["passes", "mlp"]) == 0
        told.append(capsys.readouterr().out)
    assert "took (kept)" not in told[0] and "took (kept)" in told[1]


MODEL = frontends.load("mlp")
ASKED = {
    "model": MODEL, "policy": MODEL.policy("full"), "optimizer": Optimizer(), "schedule": "optimized",
    "passes": ("dead-code",), "objective": MODEL.objective(),
}  # fmt: skip
OTHERS = {
    "another weight": {"model": replace(MODEL, weights={**MODEL.weights, "fc1.bias": MODEL.weights["fc1.bias"] + 1})},
    "minus zero": {"model": replace(MODEL, weights={**MODEL.weights, "fc1.bias": -0.0 * MODEL.weights["fc1.bias"]})},
    "another batch": {"model": MODEL.with_batch(2)},
    "another network": {"model": frontends.load("lenet")},
    "another policy": {"policy": MODEL.policy("last-1")},
    "momentum": {"optimizer": Optimizer(momentum=0.9)},
    "another schedule": {"schedule": "reordered"},
    "another pass": {"passes": ("dead-code", "fuse-add")},
    "another objective": {"objective": Objective("mse", "values")},
}


def test_all_that_is_asked_for_is_in_the_key(kept):
    keys = [key_of(**ASKED | other) for other in ({}, *OTHERS.values())]
    assert len(set(keys)) == len(keys) == len(OTHERS) + 1 and None not in keys
    assert key_of(**ASKED) == keys[0]


def test_one_changed_byte_in_any_source_file_is_a_miss(kept, monkeypatch, tmp_path):
    package = Path(compiled_cache.__file__).parent
    assert compiled_cache.sources_digest(package, compiled_cache.templates()) == compiled_cache.SOURCES
    copy = tmp_path / "copy"
    shutil.copytree(package / "passes", copy / "passes", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(compiled_cache.templates() / "kernels", copy / "kernels")
    (copy / "data.bin").write_bytes(b"")
    right = compiled_cache.sources_digest(copy)
    for path in [path for path in sorted(copy.rglob("*")) if path.is_file()]:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"\0")
        assert compiled_cache.sources_digest(copy) != right, path
        path.write_bytes(content)
    (copy / "passes" / "dead_code.py").rename(copy / "passes" / "dead_codes.py")
    assert compiled_cache.sources_digest(copy) != right
    before = key_of(**ASKED)
    monkeypatch.setattr(compiled_cache, "SOURCES", right)
    assert key_of(**ASKED) != before


def test_once_a_source_file_was_edited_nothing_is_kept(kept, monkeypatch, tmp_path):
    (tmp_path / "passes").mkdir()
    source = tmp_path / "passes" / "of_mine.py"
    source.write_text("LONGEST = 24")
    monkeypatch.setattr(compiled_cache, "FOLDERS", (tmp_path,))
    monkeypatch.setattr(compiled_cache, "STAMPS", compiled_cache.stamps(tmp_path))
    assert key_of(**ASKED)
    source.write_text("LONGEST = 25")
    os.utime(source, (0, 0))
    assert key_of(**ASKED) is None


def test_beside_another_s_operator_nothing_is_kept(kept, compilations, monkeypatch):
    monkeypatch.setattr(ops, "_REGISTRY", dict(ops._REGISTRY))
    own = ops.get("nn.relu")
    ops.register(replace(own, name="mine.relu", evaluate=lambda x: np.maximum(x, 0)))
    for _ in range(2):
        session.compile("mlp")
    assert len(compilations) == 2 and not kept.exists()
    monkeypatch.setitem(ops._REGISTRY, "mine.relu", replace(own, name="mine.relu", evaluate=np.abs))
    first = key_of(**ASKED)
    monkeypatch.setitem(ops._REGISTRY, "mine.relu", replace(own, name="mine.relu", evaluate=np.negative))
    assert first and first != key_of(**ASKED)


class Callable:
    def __call__(self, x):
        return x


@pytest.mark.parametrize("evaluate", [functools.partial(np.maximum, 0), Callable(), np.vectorize(abs)])
def test_an_operator_that_computes_with_a_nameless_object_is_another_s(evaluate, kept, compilations, monkeypatch):
    own = ops.get("nn.relu")
    monkeypatch.setitem(ops._REGISTRY, "mine.relu", replace(own, name="mine.relu", evaluate=evaluate))
    for _ in range(2):
        session.compile("mlp")
    assert len(compilations) == 2 and not kept.exists()


@pytest.mark.parametrize("other", [{"view": True}, {"attrs": {"alpha": 0.5}}, {"takes": (0,)}])
def test_what_an_operator_is_besides_its_functions_is_in_the_key(other, kept, monkeypatch):
    own = replace(ops.get("nn.relu"), name="mine.relu")
    monkeypatch.setitem(ops._REGISTRY, "mine.relu", own)
    first = key_of(**ASKED)
    monkeypatch.setitem(ops._REGISTRY, "mine.relu", replace(own, **other))
    assert first and first != key_of(**ASKED)


DAMAGES = {
    "empty": lambda content, other: b"",
    "the digest alone": lambda content, other: content[:64],
    "cut in half": lambda content, other: content[: len(content) // 2],
    "a byte short": lambda content, other: content[:-1],
    "a byte more": lambda content, other: content + b"\0",
    "one bit of the plan": lambda content, other: content.replace(b'"offset": 0', b'"offset": 4', 1),
    "one letter of the graph": lambda content, other: content.replace(b"transpose_a=True", b"transpose_b=True", 1),
    "another's, whole": lambda content, other: other,
    "something else": lambda content, other: b"{}\n" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_a_miss_and_heals(damage, kept, compilations):
    right = told(session.compile("mlp"))
    (path,) = kept.iterdir()
    content = path.read_bytes()
    session.compile("mlp", "last-1")
    other = next(other for other in kept.iterdir() if other != path).read_bytes()
    path.write_bytes(DAMAGES[damage](content, other))
    assert path.read_bytes() != content
    assert told(session.compile("mlp")).split("Applied")[0] == right.split("Applied")[0] and len(compilations) == 3
    session.compile("mlp")
    assert len(compilations) == 3


@pytest.mark.parametrize("step", ["mkdir", "write_bytes", "replace", "glob", "unlink"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_cache_that_cannot_be_written_costs_time_alone(step, code, kept, monkeypatch):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(compiled_cache, "MOST", 0)
    monkeypatch.setattr(Path, step, refuse)
    assert session.compile("mlp").memory == session.compile("mlp").memory


def test_an_entry_in_whose_place_is_a_folder_is_a_miss(kept, compilations):
    session.compile("mlp")
    (path,) = kept.iterdir()
    path.unlink()
    path.mkdir()
    session.compile("mlp")
    assert len(compilations) == 2 and list(kept.iterdir()) == [path]


def test_the_entries_used_longest_ago_make_room(kept, monkeypatch, compilations):
    monkeypatch.setattr(compiled_cache, "MOST", 2)
    for policy in ("last-1", "last-2"):
        session.compile("mlp", policy)
        for path in kept.iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 100))
    session.compile("mlp", "last-1")  # used again: last-2 goes
    session.compile("mlp", "full")
    assert len(list(kept.iterdir())) == 2
    session.compile("mlp", "last-1")
    assert len(compilations) == 3
    session.compile("mlp", "last-2")
    assert len(compilations) == 4


def test_two_at_once_leave_one_whole_entry(kept, monkeypatch):
    both, made, run = threading.Barrier(2, timeout=30), [], session.run_passes_with

    def together(*asked):
        both.wait()  # neither has found the other's
        return run(*asked)

    monkeypatch.setattr(session, "run_passes_with", together)
    threads = [threading.Thread(target=lambda: made.append(session.compile("mlp"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = kept.iterdir()
    assert len(made) == 2 and cache.content_of(path.stem, "step") is not None
    monkeypatch.setattr(session, "run_passes_with", run)
    assert session.compile("mlp").memory == made[0].memory


def test_what_cannot_be_compiled_is_not_kept(kept):
    for _ in range(2):
        with pytest.raises(WorkbenchError, match="wants 9 weighted layers"):
            session.compile("mlp", "last-9")
    assert not kept.exists()
