"""Counts the places where a graph's def-use is read off its nodes by hand, and tells them.

    python tests/benchmarks/hand_scans.py [FOLDER of a checkout, this one by default]

Counted is a loop or comprehension over the nodes of a graph in which a node's operands, results, `over` or `overwrites`
are iterated, searched, counted or used as a key; not where only their types are looked up. The operators and the
analysis itself may do so. Not every such place is one too many: what copies, prints or executes a graph has to go
through it.
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

NODES = {"nodes", "work"}  # graph.nodes, graph.analysis.work
STEPS = {"steps"}  # functions that return nodes
OF_NODE = {"operands", "results", "over", "overwrites"}
ASKED = {"get", "setdefault", "pop", "add", "discard", "index", "count", "fromkeys", "len", "set", "frozenset", "dict"}
ASKED |= {"sorted", "tuple", "list", "enumerate", "zip", "any", "all", "intersection", "isdisjoint", "issubset"}
ASKED |= {"update", "extend", "difference", "union"}
LEFT_OUT = ("ops/", "ir/analysis.py")


def is_nodes(node: ast.expr) -> bool:
    """Whether nodes are iterated here: graph.nodes, a slice of it, enumerate(graph.nodes), reversed(steps(graph)), …"""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and each.attr in NODES:
            return True
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in STEPS:
            return True
    return False


def is_types_of(node: ast.AST) -> bool:
    """types[name] for name in node.operands: an operator asked about its operands, not who reads what."""
    if not isinstance(node, ast.ListComp | ast.GeneratorExp) or not isinstance(node.elt, ast.Subscript):
        return False
    table = node.elt.value
    return (table.attr if isinstance(table, ast.Attribute) else getattr(table, "id", "")) == "types"


def names(target: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}


def uses(tree: ast.AST, variables: set[str]) -> bool:
    """Whether operands, results or overs of one of these variables are iterated, searched, counted or a key."""

    def of_node(node: ast.AST | None) -> bool:
        return node is not None and any(
            isinstance(each, ast.Attribute)
            and each.attr in OF_NODE
            and isinstance(each.value, ast.Name)
            and each.value.id in variables
            for each in ast.walk(node)
        )

    looked_up = {each.generators[0] for each in ast.walk(tree) if is_types_of(each)}
    for node in ast.walk(tree):
        loop = isinstance(node, ast.For | ast.comprehension) and node not in looked_up
        if loop and of_node(node.iter):
            return True
        if isinstance(node, ast.Compare) and any(map(of_node, (node.left, *node.comparators))):
            return True
        if isinstance(node, ast.Subscript) and of_node(node.slice):
            return True
        if isinstance(node, ast.DictComp) and of_node(node.key):
            return True
        if isinstance(node, ast.Dict) and any(map(of_node, node.keys)):
            return True
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ASKED and any(map(of_node, node.args)):
                return True
            if name in ASKED and isinstance(called, ast.Attribute) and of_node(called.value):
                return True
    return False


def scans(source: str) -> Iterator[int]:
    """The lines of such loops."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.For):
            if is_nodes(node.iter) and any(uses(each, names(node.target)) for each in node.body):
                yield node.lineno
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            over = [each for each in node.generators if is_nodes(each.iter)]
            if over and uses(node, set().union(*(names(each.target) for each in over))):
                yield node.lineno


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[2])
    package = parser.parse_args().folder / "workbench"
    found = []
    for path in sorted(package.rglob("*.py")):
        where = path.relative_to(package).as_posix()
        if not where.startswith(LEFT_OUT):
            text = path.read_text()
            found += [(where, line, text.splitlines()[line - 1].strip()) for line in sorted(set(scans(text)))]
    print(f"{len(found)} scans of nodes by hand in {package}")
    for where, line, text in found:
        print(f"{f'{where}:{line}':36} {text}")


if __name__ == "__main__":
    main()
