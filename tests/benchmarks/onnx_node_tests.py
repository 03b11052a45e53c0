"""ONNX's own tests of every operator that is imported, through emulated C, as a table.

.venv/bin/python tests/benchmarks/onnx_node_tests.py [virtual-m7]

operator   its name; a test of one that ONNX wrote out in other operators counts as one of it
run        read, compiled and run, a hundred in one firmware
passed     every output as ONNX says, to the test's own tolerance
refused    by the frontend, and why
skipped    dtype: the input or the output is not float32; empty shape; sequence type; random
               numbers; infinite results
"""

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from onnx_nodes import Case, difference, emulated, every_case, meant

import workbench.schedule  # noqa: F401  registers the operators
from workbench import boards

AT_ONCE = 100


def main(board: str = "virtual-m4") -> int:
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    why: dict[str, Counter[str]] = defaultdict(Counter)
    ready: list[Case] = []
    wrong: list[str] = []
    for case in every_case(expanded=True):
        if case.skipped or case.refused:
            rows[case.operator]["skipped" if case.skipped else "refused"] += 1
            why[case.operator][case.skipped or case.refused.partition('" ')[2] or case.refused] += 1
        elif case.graph is None:
            _count(rows, wrong, case, difference(case, meant(case)))
        else:
            ready.append(case)
    for begin in range(0, len(ready), AT_ONCE):
        part = ready[begin : begin + AT_ONCE]
        with tempfile.TemporaryDirectory() as folder:
            results = emulated(part, boards.get(board), Path(folder))
        for case in part:
            _count(rows, wrong, case, difference(case, meant(case, results[case.id])))
        print(f"{begin + len(part)} of {len(ready)}", file=sys.stderr)
    print("| operator | run | passed | refused | skipped | why |\n|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for operator, row in sorted(rows.items()):
        total.update(row)
        reasons = ", ".join(f"{count} {each}" for each, count in why[operator].items())
        print(f"| {operator} | {row['run']} | {row['passed']} | {row['refused']} | {row['skipped']} | {reasons} |")
    print(f"| all | {total['run']} | {total['passed']} | {total['refused']} | {total['skipped']} | |")
    few = [name for name, row in rows.items() if row["run"] < row["refused"]]
    print("\n".join(wrong), f"fewer than half run of: {', '.join(few) or 'none'}", sep="\n")
    return bool(wrong or few)


def _count(rows: dict[str, Counter[str]], wrong: list[str], case: Case, told: str) -> None:
    rows[case.operator]["run"] += 1
    rows[case.operator]["passed"] += not told
    if told:
        wrong.append(f"{case.id}: {told}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
