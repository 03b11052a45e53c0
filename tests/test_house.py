"""Rules of the house that a reader of the syntax tree can check: who may name operators and passes, who may catch what.

Each rule is a function from source text to what breaks it, so that it is shown to fail too.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
import workbench.schedule
from workbench.ir.op import registered
from workbench.passes import apply_policy, permute_channels
from workbench.passes.pipeline import PASSES

PACKAGE = Path(workbench.__file__).parent
OPERATORS = frozenset(registered())
NAMING_OPERATORS = {  # beside the operators' own files
    "ir/op.py": "the registry, which knows nn.conv2d by its short name too",
}
MAKING_NODES = {"quantize/emit.py", "frontends/emitter.py"}  # may name what nodes are made of, and nothing else
PASS_MODULES = {each.run.__module__ for each in PASSES.values()} | {apply_policy.__name__, permute_channels.__name__}
FAMILIES = ("nn.", "qnn.")
WALKING_FOR_ALIASES = {
    "ir/analysis.py": "the one who is asked",
    "ir/storage.py": "the rule itself",
    "ir/interpret.py": "it writes into the storage that is taken over",
    "passes/in_place.py": "of a graph that it is still making",
}
ALIAS_WALKS, MOST_ALIAS_WALKS = ("storage_roots", "Aliases"), 6
PARAMETERS = re.compile(r"(^|_)(literals|parameters)")  # what tells them is called so
NAMES_OF_KERNELS = {"header": 0, "function": 1}  # of Kernel: field -> its position
BUILDING = {"op", "shared", "Node"}  # calls whose first argument is an operator's name, as that of get is
QUOTED = re.compile(rf"""["']({"|".join(map(re.escape, (*FAMILIES, *sorted(OPERATORS))))})""")  # parses few files


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Place in the package and text of each file, in all of it or in these folders."""
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        if not folders or where.startswith(folders):
            yield where, path.read_text()


def docstrings(tree: ast.AST) -> set[ast.AST]:
    bodies = (node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list))
    return {body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)}


def texts(node: ast.AST) -> list[ast.Constant]:
    return [each for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def named_operators(source: str, making: bool = False) -> list[str]:
    """Literals that name an operator: nn.relu or sum_of_squares anywhere; a plain word such as add where it is compared
    with the operator of a node, itself or as a constant of the module, where such a constant is a table that is asked
    for that operator, and where a node is made of it. `making`: those of which nodes are made may be named.
    """
    if not QUOTED.search(source):
        return []
    tree = ast.parse(source)
    about, found, constants = docstrings(tree), set(), {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value:
            constants[target.id] = texts(node.value)
    for each in texts(tree):
        unmistakable = each.value in OPERATORS and ("." in each.value or "_" in each.value)
        if each not in about and (unmistakable or each.value.startswith(FAMILIES)):
            found.add(each)
    for node in ast.walk(tree):
        asked = isinstance(node, ast.Compare | ast.Subscript | ast.Match) or _called_of(node) == "get"
        if asked and any(_is_operator(each) for each in ast.walk(_head(node))):
            names = [constants.get(each.id, []) for each in ast.walk(node) if isinstance(each, ast.Name)]
            found.update(each for group in (texts(node), *names) for each in group if each.value in OPERATORS)
        elif isinstance(node, ast.Call) and node.args and _names_operator(node.func):
            found.update(each for each in texts(node.args[0])[:1] if each.value in OPERATORS)
    if making:
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
        made = [texts(node.args[0]) for node in calls if _called(node.func) in BUILDING]
        found -= {each for group in made for each in group if each.value in OPERATORS}
    return [f"line {each.lineno} names the operator {each.value!r}" for each in sorted(found, key=lambda e: e.lineno)]


def _called_of(node: ast.AST) -> str:
    return _called(node.func) if isinstance(node, ast.Call) else ""


def _head(node: ast.AST) -> ast.AST:
    """Of a match what is matched, of anything else all of it."""
    return node.subject if isinstance(node, ast.Match) else node


def _is_operator(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "op"


def _names_operator(function: ast.expr) -> bool:
    """Whether a call's first argument is the name of an operator: ops.get of the registry, not that of a dict."""
    of = function.value if isinstance(function, ast.Attribute) else None
    registry = of is None or (isinstance(of, ast.Name) and of.id in ("ops", "operators"))
    return _called(function) in BUILDING or (_called(function) == "get" and registry)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def named_passes(source: str, own: str = "") -> list[str]:
    """Imports of passes, and literals that are the name of one; `own`: the module that it is the source of."""
    tree, found = ast.parse(source), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [f"line {node.lineno} imports {name}" for name in modules if name in PASS_MODULES - {own}]
    named = [each for each in texts(tree) if each.value in PASSES and each not in docstrings(tree)]
    return found + [f"line {each.lineno} names the pass {each.value!r}" for each in named]


def alias_walks(source: str) -> list[str]:
    """Where the nodes of a graph are walked to learn which values share storage, in place of asking its analysis: by a
    name that is known, or by pairing each result with what it takes over.
    """
    if not any(name in source for name in (*ALIAS_WALKS, ".over")):
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _called(node.func) in ALIAS_WALKS:
            found.append(f"line {node.lineno} calls {_called(node.func)}")
        elif isinstance(node, ast.Call) and _called(node.func) in ("zip", "zip_longest"):
            paired = {each.attr for each in node.args if isinstance(each, ast.Attribute)}
            found += [f"line {node.lineno} pairs results with over"] * (paired >= {"results", "over"})
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            of_node = isinstance(node.value, ast.Attribute) and ast.unparse(node.value) != "self.over"
            found += [f"line {node.lineno} takes one of over"] * (of_node and node.value.attr == "over")
    return found


def caught_shapes(source: str) -> list[str]:
    """Where a ShapeError is caught, by name."""
    if "ShapeError" not in source:
        return []
    caught = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            caught.append(node.type)
        elif isinstance(node, ast.Call) and _called(node.func) == "suppress":
            caught += node.args
    names = [each for kinds in caught for each in ast.walk(kinds) if isinstance(each, ast.Name | ast.Attribute)]
    return [f"line {each.lineno} catches ShapeError" for each in names if _called(each) == "ShapeError"]


def made_names(source: str) -> list[str]:
    """Where a kernel or its header is not called by a name that stands there: a text, one for each dtype, a constant of
    the module that is one of these, or what the function around it is given (which stands somewhere, too).
    """
    if "Kernel(" not in source and "function=" not in source:
        return []
    tree, constants, given = ast.parse(source), {}, {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and node.value:
            constants[target.id] = node.value
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            names = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
            for node in ast.walk(function):
                given.setdefault(node, set()).update(names)

    def stands(value: ast.expr) -> bool:
        if isinstance(value, ast.Dict):
            return all(isinstance(each, ast.Constant) for each in value.values)
        return isinstance(value, ast.Constant)

    def named(value: ast.expr) -> bool:
        if isinstance(value, ast.Name):
            return value.id in given.get(value, ()) or (value.id in constants and stands(constants[value.id]))
        return stands(value)

    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and _called(node.func) in ("Kernel", "replace")):
            continue
        values = [each.value for each in node.keywords if each.arg in NAMES_OF_KERNELS]
        if _called(node.func) == "Kernel":
            values += [node.args[at] for at in NAMES_OF_KERNELS.values() if at < len(node.args)]
        found += [f"line {each.lineno} makes a name, {ast.unparse(each)}" for each in values if not named(each)]
    return found


def by_position(source: str) -> list[str]:
    """Where the parameters of a kernel are told by their position: an index, a slice, a star, or one variable each."""
    if not any(name in source for name in ("literals", "parameters", "astuple")):
        return []

    def called(node: ast.AST) -> bool:
        return bool(PARAMETERS.search(_called_of(node)))

    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=of):
                by_place = called(of) or (isinstance(of, ast.Name) and bool(PARAMETERS.search(of.id)))
            case ast.Starred(value=of) | ast.Assign(targets=[ast.Tuple()], value=of):
                by_place = called(of)
            case _:
                by_place = _called_of(node) == "astuple"
        if by_place:
            found.append(f"line {node.lineno} takes parameters by their position")
    return found


def test_no_operator_is_named_outside_its_file():
    own = ("ops/", "schedule/region.py", "schedule/_samples")
    found = {where: named_operators(source, where in MAKING_NODES)
             for where, source in sources() if not where.startswith(own)}  # fmt: skip
    assert {where for where, lines in found.items() if lines} == set(NAMING_OPERATORS), found


@pytest.mark.parametrize("source", [
    'if node.op == "add": pass',
    'if node.op in ("add", "multiply"): pass',
    'ADD = "add"\nif node.op != ADD: pass',
    'SUMS = {"add", "subtract"}\nfits = node is None or node.op not in SUMS',
    'build.op("add", a, b)',
    'ops.get("region").complete({})',
    'Node("add", operands, results)',
    'PER = {"nn.conv2d": 3}',
    'READ = "read_rows"',
    'build.op(f"qnn.{name}", a)',
    'name = node.op.removeprefix("nn.")',
    'FORMS = {"add": 1}\nform = FORMS[node.op]',
    'FORMS: dict[str, int] = {"add": 1}\nform = FORMS.get(node.op)',
    'match node.op:\n    case "add": pass',
])  # fmt: skip
def test_a_named_operator_is_found(source):
    assert named_operators(source)


@pytest.mark.parametrize("source", [
    'OF = {"nn.conv2d": "layer"}\nbuild.op("qnn.conv2d", x)',
    'build.op(f"qnn.{name}", a)',
    'build.op("qnn.add", a, b, function="nn.tanh")',
    'if node.op == "add": build.op("qnn.add", a, b)',
    'ops.get("qnn.add").complete({})',
])  # fmt: skip
def test_who_makes_nodes_names_nothing_else(source):
    assert named_operators(source, making=True)


def test_who_makes_nodes_may_say_of_what():
    source = 'build.op("qnn.mean" if axes else "qnn.avg_pool2d", x)\nbuild.shared("qnn.table", form=form)'
    assert named_operators(source) and not named_operators(source, making=True)


@pytest.mark.parametrize("source", [
    '"""nn.relu and add."""\nx = 1',
    'def f():\n    """nn.relu"""\n    return build.add(a, b)',
    'label = "add"',
    'told["scale"] = 1',
    'begin = kind == "sum" and ops.get(node.op).adds',
    'shift, scale = told.get("shift"), told.get("scale")',
])  # fmt: skip
def test_a_word_is_no_operator(source):
    assert not named_operators(source)


def test_no_pass_names_another():
    found = {where: named_passes(source) for where, source in sources("passes/") if where != "passes/pipeline.py"}
    assert len(found) > len(PASSES)
    assert not any(found.values()), found


@pytest.mark.parametrize("source", [
    "from workbench.passes.regions import regions",
    "from workbench.passes import Declined, in_place",
    "def f():\n    import workbench.passes.dead_code",
    'LATER = ("early-update", "in-place")',
    'if "regions" in later: pass',
])  # fmt: skip
def test_a_named_pass_is_found(source):
    assert named_passes(source)


def test_what_shares_storage_is_asked_of_the_analysis():
    found = {where: alias_walks(source) for where, source in sources() if alias_walks(source)}
    assert set(found) == set(WALKING_FOR_ALIASES), found
    assert sum(map(len, found.values())) <= MOST_ALIAS_WALKS, found


@pytest.mark.parametrize(
    "source",
    [
        "root = storage_roots(graph)",
        "for node in nodes: storage.Aliases(names).add(node)",
        "for result, source in zip(node.results, node.over): home[result] = home.get(source, result)",
        "home[result] = home[node.over[index]]",
    ],
)
def test_a_walk_for_aliases_is_found(source):
    assert len(alias_walks(source)) == 1


def test_nobody_catches_a_shape_error_but_who_reads_files_or_talks_to_people():
    found = {where: caught_shapes(source) for where, source in sources()}
    catching = {where for where, lines in found.items() if lines and not where.startswith(("frontends/", "cli/"))}
    assert not catching, found


@pytest.mark.parametrize("source", [
    "try: f()\nexcept ShapeError: pass",
    "try: f()\nexcept (GraphError, errors.ShapeError) as error: pass",
    "with suppress(ShapeError): f()",
    "with contextlib.suppress(OSError, ShapeError): f()",
])  # fmt: skip
def test_a_caught_shape_error_is_found(source):
    assert caught_shapes(source)
    assert not caught_shapes(source.replace("ShapeError", "ModelError"))


def test_the_name_of_a_kernel_stands_in_the_source():
    found = {where: made_names(source) for where, source in sources()}
    assert not any(found.values()), found


def test_what_is_given_as_the_name_of_a_kernel_stands_in_the_source():
    standing = {each.value for _, source in sources("ops/", "schedule/") for each in texts(ast.parse(source))}
    kernels = [op.kernel for op in registered().values() if op.kernel]
    made = {name for kernel in kernels for name in (kernel.header, *kernel.functions)} - standing
    assert not made


@pytest.mark.parametrize("source", [
    'Kernel(f"{stem}_f32.h", "sum_f32")',
    'Kernel("sum_f32.h", f"{stem}_f32")',
    'Kernel("sum_f32.h", "sum_" + kind)',
    'Kernel("sum_f32.h", "sum_%s" % kind)',
    'Kernel("sum_f32.h", "sum_{}".format(kind))',
    'Kernel("sum_f32.h", function=NAME.replace("f32", "s8"))',
    'Kernel("sum_f32.h", {"float32": "sum_f32", "int8": NAME + "s8"})',
    'Kernel("sum_f32.h", lambda x, **_: "sum_s8" if x.dtype == "int8" else "sum_f32")',
    'def function(x, **_):\n    return "sum_f32"\nKernel("sum_f32.h", function)',
    'NAME = "sum" + KIND\nKernel("sum_f32.h", NAME)',
    'Kernel("sum_f32.h", mean.FUNCTION)',
    'def fuse(stem):\n    return Kernel("sum_f32.h", f"{stem}_f32")',
    'Kernel(header="sum" ".h", function=f"sum_{kind}")',
    'replace(kernel, function=f"{kernel.function}_rows")',
])  # fmt: skip
def test_a_made_name_is_found(source):
    assert len(made_names(source)) == 1


@pytest.mark.parametrize("source", [
    'Kernel("sum_f32.h", "sum_f32")',
    'Kernel("sum_f32.h", {"float32": "sum_f32", "int8": "sum_s8"}, by=1)',
    'NAMES = {"float32": "sum_f32", "int8": "sum_s8"}\nKernel("sum_f32.h", function=NAMES)',
    'def fuse(header, function):\n    return Kernel(header, function)',
    'Op(name=f"nn.{name}", function=f"{name}")',
    'text.replace("a", "b" + c)',
])  # fmt: skip
def test_a_name_that_stands_there_is_none_that_is_made(source):
    assert not made_names(source)


def test_no_parameter_of_a_kernel_is_known_by_its_position():
    found = {where: by_position(source) for where, source in sources("ops/", "kernels/", "schedule/", "codegen/")}
    assert not any(found.values()), found


@pytest.mark.parametrize("source", [
    "return literals(x, **attrs)[1:]",
    "return [x.shape[1], *literals(x, **attrs)]",
    "numbers = [*conv2d.literals(x), 0][:17]",
    "count = kernel.parameters(x)[0]",
    "first, *rest = parameters_grad(x)",
    "literals[0] = 1",
    "numbers = astuple(record)",
    "numbers = dataclasses.astuple(record)[2:]",
])  # fmt: skip
def test_a_parameter_by_position_is_found(source):
    assert len(by_position(source)) == 1


@pytest.mark.parametrize("source", [
    "return Mean(avg_pool2d.parameters(x, **attrs), zero)",
    "name = self.parameters[read]",
    "parameters = window_of(**attrs)",
    'Op(parameters={0: "scale"})',
])  # fmt: skip
def test_a_parameter_by_name_is_none_by_position(source):
    assert not by_position(source)
