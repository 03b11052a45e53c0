"""speedscope files: the fields that the published schema requires, and weights that are those of the tables."""

import json
from collections import Counter

from hypothesis import given, settings
from synthetic_profile import Called, programs, synthetic_profile

from workbench.report.exports import speedscope

REQUIRED = {  # file-format-schema.json
    "file": {"$schema", "shared", "profiles"},
    "sampled": {"type", "name", "unit", "startValue", "endValue", "samples", "weights"},
}
UNITS = {"bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"}


def read(profile):
    """The file, held against the schema."""
    file = json.loads(speedscope(profile))
    assert set(file) >= REQUIRED["file"] and file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = file["shared"]["frames"]
    for frame in frames:
        assert isinstance(frame["name"], str) and set(frame) <= {"name", "file", "line", "col"}
        assert isinstance(frame.get("line", 1), int) and isinstance(frame.get("file", ""), str)
    assert 0 <= file["activeProfileIndex"] < len(file["profiles"])
    for each in file["profiles"]:
        assert set(each) == REQUIRED["sampled"] and each["type"] == "sampled" and each["unit"] in UNITS
        assert len(each["samples"]) == len(each["weights"])
        assert all(sample and set(sample) <= set(range(len(frames))) for sample in each["samples"])
        assert all(isinstance(weight, int) and weight > 0 for weight in each["weights"])
        assert (each["startValue"], each["endValue"]) == (0, sum(each["weights"]))
    return file


def by_function(file, index, inclusive):
    spent: Counter = Counter()
    profile = file["profiles"][index]
    for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
        for frame in set(sample) if inclusive else sample[-1:]:
            spent[file["shared"]["frames"][frame]["name"]] += weight
    return spent


@settings(max_examples=15, deadline=None)
@given(roots=programs())
def test_weights_are_those_of_the_tables(roots):
    profile = synthetic_profile(roots)
    file = read(profile)
    for index, column in enumerate(("instructions", "modelled_cycles")):
        for inclusive, name in ((False, column), (True, f"{column}_inclusive")):
            told = dict(zip(profile.functions.name, profile.functions[name], strict=True))
            assert by_function(file, index, inclusive) == {each: cost for each, cost in told.items() if cost}
    depths = {tuple(file["shared"]["frames"][frame]["name"] for frame in sample)
              for sample in file["profiles"][0]["samples"]}  # fmt: skip
    assert depths == set(paths(roots))


def paths(roots, above=()):
    """The functions above and at each context that did something itself."""
    for node in roots:
        here = (*above, node.name)
        if node.instructions:
            yield here
        yield from paths(node.below, here)


def test_frames_know_where_they_are_written():
    frames = {frame["name"]: frame for frame in read(synthetic_profile())["shared"]["frames"]}
    assert frames["crc"] == {"name": "crc", "file": "src/main.c", "line": 20}
    assert read(synthetic_profile(lines=False))["shared"]["frames"][1] == {"name": "crc"}


def test_without_cycles_there_are_instructions_alone():
    assert [each["name"] for each in read(synthetic_profile(timed=False))["profiles"]] == ["instructions"]


def test_odd_profiles():
    assert read(synthetic_profile(()))["profiles"][0]["samples"] == []
    assert read(synthetic_profile((Called("main", 7),)))["profiles"][0]["weights"] == [7]
    names = ['a "quote"', "line\nbreak", "f<g<int>, h>::operator()", "\ud800", "ä"]
    frames = read(synthetic_profile(tuple(Called(name) for name in names)))["shared"]["frames"]
    assert [frame["name"] for frame in frames] == names
