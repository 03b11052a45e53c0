"""Kernels' schedules: what there is to choose changes no bit; files of tuned ones are found, or refused."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from graphs import int8net
from samples import dtype_name, evaluate, every_sample, in_dtype, one_project, parameters_after

import workbench
from workbench import boards, native, session
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import parse_elf
from workbench.errors import BudgetError, ParseError, ScheduleError
from workbench.ir.liveness import liveness, peak_bytes
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.types import TensorType
from workbench.kernels.literals import choices_of, literals_of
from workbench.ops._schedule import read, written
from workbench.passes.pipeline import run_schedule
from workbench.schedule.places import places, rooms
from workbench.schedule.tuned import SHIPPED, Tuned, file_of, load, tuned_for, with_schedules
from workbench.toolchain import make_image

SEED = 19


def with_every_schedule(nth: int = 1):
    """Each sample of each operator that has choices, under its rule and under every `nth` of its schedules: (id, op,
    sample)."""
    for case, op, sample in every_sample():
        kinds = [TensorType(a.shape, dtype_name(a)) for a in in_dtype(sample.operands, np.float32)]
        choices = op.kernel.choices(*kinds, **sample.attrs) if op.kernel and op.runs_alone else {}
        if not choices:
            continue
        schedules = [written(dict(zip(choices, numbers, strict=True))) for numbers in product(*choices.values())]
        first = sum(map(ord, case)) % nth  # others of each sample
        for schedule in ["", *schedules[first::nth]]:
            yield (
                f"{case}-{schedule.replace('=', '')}",
                op,
                replace(sample, attrs={**sample.attrs, "schedule": schedule}),
            )


def assert_alike(cases, results):
    """Each schedule gives the rule's bits; those are numpy's, where numbers are whole."""
    by_rule = {}
    for case, op, sample in cases:
        if not sample.attrs["schedule"]:
            by_rule = results[case]
            for got, want in zip(results[case], evaluate(op, sample), strict=True):
                assert want.dtype == np.float32 or np.array_equal(got, np.ravel(want)), case
        for got, want in zip(results[case], by_rule, strict=True):
            assert got.tobytes() == want.tobytes(), case


@pytest.mark.parametrize(
    ("board", "nth"),
    [("virtual-m4", 6), *(pytest.param(f"virtual-m{core}", 1, marks=pytest.mark.long) for core in (4, 7))],
)
def test_no_schedule_changes_a_bit(board, nth):
    """On the emulated core, and as the host compiles the same C."""
    board, cases = boards.get(board), list(with_every_schedule(nth))
    project, run = one_project(board, cases=cases)
    image = make_image(project, board, 0)
    emulated = run(Machine(parse_elf(image.content, Path("schedules.elf")), image.board), cases)
    assert_alike(cases, emulated)
    here = run(native.Host(native.library(project.files)), cases)
    for case, results in emulated.items():
        assert [each.tobytes() for each in here[case]] == [each.tobytes() for each in results], case


def drawn(graph, rng):
    """A schedule for every kernel of a graph, drawn."""
    chosen = {}
    for place in places(graph):
        numbers = {name: int(rng.choice(of)) for name, of in place.choices.items()}
        chosen[place.literals] = (written(numbers),)
    return Tuned("drawn", "cortex-m4", schedules=chosen)


WITH_REGIONS = (0, 1, 3, 4, 5, 6, 9, 10, 12, 13, 14, 16)  # seeds


@pytest.mark.parametrize(
    "seed", [*WITH_REGIONS[:2], *(pytest.param(seed, marks=pytest.mark.long) for seed in WITH_REGIONS[2:])]
)
def test_networks_learn_alike_whatever_their_kernels_schedules(seed, tmp_path):
    """In regions, too."""
    graph, values = int8net(seed)
    rng = np.random.default_rng([seed, SEED])
    graph = run_schedule(graph, "optimized")[0]
    feeds = {name: _values(graph.types[name], rng) for name in graph.inputs}
    chosen = with_schedules(graph, drawn(graph, rng))
    assert any(node.body for node in graph.nodes) and chosen != graph
    after = [parameters_after(each, {**values, **feeds}, tmp_path / str(at)) for at, each in enumerate((graph, chosen))]
    for name, want in after[0].items():
        assert after[1][name].tobytes() == want.tobytes(), name


def _values(kind, rng):
    if kind.dtype == "int8":
        return rng.integers(-128, 128, kind.shape).astype(np.int8)
    return np.zeros(kind.shape, np.int32) if kind.dtype == "int32" else np.full(kind.shape, 0.05, np.float32)


# ---------------------------------------------------------------- the text of a schedule, and literals


def test_a_schedule_is_read_as_it_is_written():
    assert read(written({"pixels": 16, "unroll": 2})) == {"pixels": 16, "unroll": 2}
    assert read("") == {}
    for odd in ("pixels", "pixels=", "pixels=-4", "pixels=4,", " ", "pixels=4  unroll=2", 7):
        with pytest.raises(ScheduleError, match="a schedule is like"):
            read(odd)


def test_a_schedule_stands_in_the_text_of_a_graph(lenet_int8):
    graph = with_schedules(lenet_int8.graph, drawn(lenet_int8.graph, np.random.default_rng(0)))
    text, chosen = print_graph(graph), [place.schedule for place in places(graph)]
    assert parse_graph(text) == graph and all(f'schedule="{schedule}"' in text for schedule in chosen)
    pixels = next(schedule for schedule in chosen if schedule.startswith("pixels"))
    with pytest.raises(ParseError, match=r"no schedule is pixels=5; there is pixels=0\|4\|8"):
        parse_graph(text.replace(f'schedule="{pixels}"', 'schedule="pixels=5"'))


@pytest.fixture(scope="module")
def lenet_int8():
    return session.compile("lenet-int8", "full")


def test_literals_are_those_of_the_kernel_alone():
    """Not of constants of the quantization, nor of what is chosen; of tiles they say so."""
    graph = run_schedule(int8net(0)[0], "optimized")[0]
    place = next(place for place in places(graph) if place.axis)
    assert place.literals.startswith("conv2d_s8 groups=") and place.literals.endswith(f" by {place.axis}")
    choice = next(f"{name}={numbers[-1]}" for name, numbers in place.choices.items())
    node = replace(place.node, attrs={**place.node.attrs, "x_zero_point": 3, "schedule": choice})
    assert literals_of(node, place.types, place.axis) == place.literals
    assert literals_of(node, place.types) != place.literals
    assert choices_of(node, place.types) == place.choices


def test_room_is_what_scratch_can_have_without_a_higher_peak(lenet_int8):
    graph = lenet_int8.graph
    found, living = list(places(graph)), liveness(graph, graph.analysis.scratch)
    room = rooms(found, living.live, living.peak)
    for place in found:
        assert room[place.literals] >= place.scratch(place.schedule)
    schedules = {}
    for place in found:
        ((name, numbers),) = place.choices.items()
        fitting = [f"{name}={n}" for n in numbers if place.scratch(f"{name}={n}") <= room[place.literals]]
        schedules[place.literals] = (max(fitting, key=place.scratch),)
    most = with_schedules(graph, Tuned("most", "cortex-m4", schedules=schedules))
    assert peak_bytes(graph) == peak_bytes(most)
    every = {place.literals: tuple(f"{name}={n}" for name, of in place.choices.items() for n in of[::-1])
             for place in found}  # fmt: skip
    bounded = with_schedules(graph, Tuned("every", "cortex-m4", schedules=every, by_default=True))
    assert bounded == most


# ---------------------------------------------------------------- files


def saved(folder, graph, core="cortex-m4", name="kernels.toml"):
    kernels = [{"literals": literals, "schedule": several[0], "tuned": {"cycles": 7}, "layers": 'a "b"'}
               for literals, several in drawn(graph, np.random.default_rng(3)).schedules.items()]  # fmt: skip
    path = folder / name
    path.write_text(file_of(core, "lenet-int8\nof a test", kernels))
    return path, {kernel["literals"]: (kernel["schedule"],) for kernel in kernels}


def test_a_file_is_found_by_literals_and_told_in_the_run(lenet_int8, tmp_path):
    path, schedules = saved(tmp_path, lenet_int8.graph, name="it's my kernels.toml")
    assert load(path).schedules == schedules
    runs = [workbench.run("lenet-int8", steps=2, kernels=kernels) for kernels in ("rule", path)]
    assert runs[0].meta["kernels"] == {"name": "rule", "digest": None, "tuned": 0, "of": 4}
    digest = tuned_for("cortex-m4", path).digest
    assert runs[1].meta["kernels"] == {"name": "it's my kernels", "digest": digest, "tuned": 4, "of": 4}
    assert runs[0].meta["weights_after_first_step"] == runs[1].meta["weights_after_first_step"]
    assert runs[0].meta["instructions_per_step"] != runs[1].meta["instructions_per_step"]


@pytest.mark.parametrize(("text", "told"), [
    ("", "is no file of tuned kernels"),
    ("core = 7\nkernel = []", "is no file of tuned kernels"),
    ("core = 'cortex-m4'", "is no file of tuned kernels"),
    ("core = 'cortex-m4'\nkernel = [3]", "is no file of tuned kernels"),
    ("core = 'cortex-m4'\n[[kernel]]\nliterals = 'a'\nschedule = 3", "is no file of tuned kernels"),
    ("core = 'cortex-m4'\n[[kernel]]\nliterals = 'a'\nschedule = 'fast'", "a schedule is like"),
    ("core = 'cortex-m4'\n" + 2 * "[[kernel]]\nliterals = 'a'\nschedule = ''\n", "more than once"),
    ("core = 'cortex-m7'\nkernel = []", "tuned for cortex-m7, not for cortex-m4"),
    ("core = ", "is no file of tuned kernels: Invalid value"),
    ("\xff", "is no file of tuned kernels"),
])  # fmt: skip
def test_a_damaged_file_is_refused(text, told, tmp_path):
    path = tmp_path / "kernels.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ScheduleError, match=told) as refused:
        tuned_for("cortex-m4", path)
    assert refused.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path, told in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ScheduleError, match=told):
            tuned_for("cortex-m4", path)


def test_a_schedule_that_a_kernel_cannot_have_is_refused(lenet_int8, tmp_path):
    path, _ = saved(tmp_path, lenet_int8.graph)
    path.write_text(path.read_text().replace("pixels=", "pixels=1"))
    with pytest.raises(ScheduleError, match=r"kernels, for conv2: qnn.conv2d: no schedule is pixels=1"):
        session.build(lenet_int8, boards.get("nrf52840"), kernels=path)


@pytest.mark.parametrize(("core", "name"), [
    ("cortex-m4", "resnet-int8"), ("cortex-m7", "resnet-int8"),
    *(pytest.param(core, "mobilenet-int8", marks=pytest.mark.long) for core in ("cortex-m4", "cortex-m7")),
])  # fmt: skip
def test_what_ships_is_for_its_core_and_needs_no_more_sram_than_the_rule(core, name):
    shipped = tuned_for(core)
    assert (shipped.name, shipped.core) == (SHIPPED, core) and shipped.schedules and shipped.by_default
    board = next(board for board in boards.REAL if board.core == core)
    compiled = session.compile(name, "bias-only")
    rule, ours = (session.build(compiled, board, kernels=kernels) for kernels in ("rule", None))
    assert ours.compiled.memory.plan.bytes <= rule.compiled.memory.plan.bytes
    assert any(place.schedule for place in places(ours.compiled.graph))


def test_what_would_not_fit_takes_less_scratch():
    """By default; a limit that no schedule meets is told as ever. A kernel with scratch holds the peak of `last-1`."""
    compiled, board = session.compile("lenet-int8", "last-1"), boards.get("nrf52840")
    usual = session.build(compiled, board, kernels="rule")
    beside = usual.image.static + usual.image.stack_reserve
    limit = beside + usual.compiled.memory.plan.bytes - 1
    less = session.build(compiled, board.with_region("sram", size=limit), virtual=False)
    assert less.compiled.memory.plan.bytes + less.image.static + less.image.stack_reserve <= limit
    assert [place.schedule for place in places(less.compiled.graph) if place.schedule]
    for kernels, size in (("rule", limit), (None, beside + 200)):
        with pytest.raises(BudgetError, match="of SRAM"):
            session.build(compiled, board.with_region("sram", size=size), virtual=False, kernels=kernels)


@pytest.mark.long
@pytest.mark.parametrize(("way", "limit"), [("", "75K"), ("input-rows", "64K")])
def test_the_papers_step_fits(way, limit, shared_data):
    """MCUNet with its own weights; with the image as a whole it takes kernels with less scratch."""
    model = shared_data / "tiny-training/mcunet-5fps.json"
    compiled = session.compile(model, "sparse-49kb", passes=way)
    built = session.build(compiled, boards.chosen("stm32f746", limit), virtual=False)
    assert built.image.board.sram_size == int(limit[:-1]) * 1024
