"""Reads callgrind files by the grammar of the Valgrind manual ("Callgrind Format Specification"), version 1.

Every line must be one of its productions, every number known before it stands alone.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

HEADER = re.compile(r"(version|creator|cmd|desc|positions|event|events|summary|totals): *(.*)")
POSITION = re.compile(r"(ob|fl|fi|fe|fn|cob|cfi|cfl|cfn)=(?:\((\d+)\)(?: (\S.*))?|([^(].*))")
COSTS = re.compile(r"(\d+)((?: \d+)*)")
CALLS = re.compile(r"calls=(\d+) (\d+)")
KIND = {"fl": "file", "fi": "file", "fe": "file", "cfi": "file", "cfl": "file", "fn": "function", "cfn": "function"}


@dataclass
class CallgrindFile:
    """Costs are tuples in the order of `events`."""

    header: dict[str, list[str]] = field(default_factory=dict)
    own: dict[str, tuple[int, ...]] = field(default_factory=dict)  # function -> self
    lines: dict[tuple[str, str, int], tuple[int, ...]] = field(default_factory=dict)  # function, file, line -> self
    calls: dict[tuple[str, str], tuple[int, tuple[int, ...]]] = field(default_factory=dict)  # -> count, inclusive

    sites: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)  # where a call stands: file, line

    @property
    def events(self) -> list[str]:
        return self.header["events"][0].split()


def parse(text: str) -> CallgrindFile:
    """Raises AssertionError for a line that the grammar does not know, or that stands in the wrong place."""
    lines = text.split("\n")
    assert lines[0] == "# callgrind format" and lines[-1] == ""
    file, at = CallgrindFile(), {}
    known: dict[tuple[str, str], str] = {}
    names: Counter = Counter()
    body = iter(lines[1:])
    for line in body:
        if line == "":
            break
        match = HEADER.fullmatch(line)
        assert match, f"no header line: {line}"
        file.header.setdefault(match[1], []).append(match[2])
    width = len(file.events)
    for line in body:
        if line == "":
            continue
        if match := POSITION.fullmatch(line):
            word, number, name, plain = match.groups()
            if number and name:
                assert (KIND[word], number) not in known, f"({number}) is told twice"
                known[KIND[word], number] = name
                names[KIND[word], name] += 1
            at["file" if word in ("fl", "fi", "fe") else word] = plain or known[KIND[word], number]
            continue
        if match := CALLS.fullmatch(line):
            line_of_call, costs = _costs(next(body), width)
            ends, count = (at["fn"], at["cfn"]), int(match[1])
            before = file.calls.get(ends, (0, (0,) * width))
            file.sites[ends] = (at["file"], line_of_call)
            file.calls[ends] = (before[0] + count, _sum(before[1], costs))
            continue
        number, costs = _costs(line, width)
        place = (at["fn"], at["file"], number)
        file.lines[place] = _sum(file.lines.get(place, (0,) * width), costs)
        file.own[at["fn"]] = _sum(file.own.get(at["fn"], (0,) * width), costs)
    assert all(count == 1 for count in names.values()), "one name has two numbers"
    return file


def _costs(line: str, width: int) -> tuple[int, tuple[int, ...]]:
    match = COSTS.fullmatch(line)
    assert match, f"no line of costs: {line}"
    costs = tuple(map(int, match[2].split()))
    assert len(costs) == width, line
    return int(match[1]), costs


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(one, other, strict=True)))
