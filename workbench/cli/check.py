"""Hold the emulated firmware against numpy, operator by operator: inference, accumulation and three training steps,
under the memory trace; exit 3 where they differ."""

import math
from dataclasses import asdict

from workbench import units
from workbench.cli import options
from workbench.cli.output import say, say_json, table
from workbench.cli.progress import stage
from workbench.options import Scheduling

HELP = "hold the emulated C against numpy, operator by operator"
SHOWN = 10  # findings that are told one by one
ACCESSES = {"undeclared-read": "reads", "undeclared-write": "writes", "unwritten-read": "reads before it is written",
            "outside": "goes outside every buffer, near"}  # fmt: skip


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser)
    options.add_data(parser)
    parser.add_argument("--load-weights", metavar="FILE", help="check with the weights in an .npz")
    options.add_rate(parser, "learning rate of the first of three steps")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.feeding import Training
    from workbench.study.check import check

    how = Training(**options.of(args, Scheduling) | options.data(args))
    model = options.with_data(args, options.model(args), how)
    compiled = options.compiled(args, model)
    built = options.built(args, compiled, options.board(args))
    with stage(args, f"{options.named(args, args.schedule)}: checking"):
        outcome = check(built, Training(**options.of(args, Scheduling) | {"data": args.samples}))
    if args.json:
        say_json(_object(outcome))
    else:
        say(_text(options.called(args), outcome, args.verbose))
    return 0 if outcome.agrees else 3


def _object(outcome) -> dict:
    def plain(value):
        return None if isinstance(value, float) and not math.isfinite(value) else value  # JSON knows no infinity

    def each(things):
        return [{key: plain(value) for key, value in asdict(thing).items()} for thing in things]

    return {
        "agrees": outcome.agrees, "operators": outcome.operators, "calls": outcome.calls,
        "whole": plain(outcome.whole), "findings": each(outcome.findings), "results": each(outcome.rows),
    }  # fmt: skip


def _text(model: str, outcome, verbose: int) -> str:
    lines = []
    if verbose:
        heads = ["operator", "value", "of its rounding", "call", "node"]
        rows = [[row.symbol, f"%{row.value}", _share(row.used), row.call, row.node] for row in outcome.rows]
        lines += [table(heads, rows, left=2), ""]
    calls = len(outcome.calls)
    if outcome.agrees:
        tightest = outcome.tightest
        return "\n".join([*lines, (
            f"{model}: {outcome.operators} operators agree with numpy in {calls} calls, three training steps among "
            f"them; the closest took {_share(tightest.used)} of what rounding may change, {tightest.symbol} "
            f"({tightest.node}); as a whole within {outcome.whole:.1e} of the interpreter's"
        )])  # fmt: skip
    lines += [f"{finding.call}: {sentence(finding)}" for finding in outcome.findings[:SHOWN]]
    more = len(outcome.findings) - SHOWN
    lines += [f"and {more} more; --json tells them all"] if more > 0 else []
    wrong = len({finding.symbol for finding in outcome.findings if finding.symbol})
    named = f" in {wrong} of {outcome.operators} operators" if wrong else ""
    lines += ["", f"{model}: {len(outcome.findings)} differences from numpy{named} in {calls} calls"]
    return "\n".join(lines)


def sentence(finding) -> str:
    """A finding in one line: the operator, the element, the expected value and the actual one."""
    value, operator = f"%{finding.value}", f"{finding.symbol} ({finding.node})"
    if finding.index is not None and finding.what not in ACCESSES:
        value += f"[{', '.join(map(str, finding.index))}]"
    many = f"; so {finding.count} of {finding.elements} elements" if finding.elements > 1 else ""
    match finding.what:
        case "result":
            slack = f" ± {finding.slack:.1e}" if finding.slack else ""
            return f"{operator} gives {value} = {finding.got:.9g}, numpy {finding.expected:.9g}{slack}{many}"
        case "operand":
            return f"{operator} reads {value} = {finding.got:.9g}, {finding.expected:.9g} was written there{many}"
        case "return":
            return f"{value} is {finding.got:.9g} on return, {finding.expected:.9g} was written there{many}"
        case "start":
            return f"{value} is {finding.got:.9g} to begin with, {finding.expected:.9g} was compiled{many}"
        case "counter":
            return f"{finding.value} is {finding.got}, {finding.expected} steps are done"
        case "whole":
            return (f"{finding.value} is {finding.got:.1e} of its norm away from the interpreter's; at most "
                    f"{finding.expected:.0e} is rounding")  # fmt: skip
        case "missing":
            return f"{operator} is called by nobody" if finding.symbol else f"{finding.value} is used by nobody"
        case "fault":
            return finding.message
        case "beyond-reserve":
            where = f", in {operator}" if finding.symbol else ""
            return f"the stack is {finding.got} bytes deeper than its reserve{where}"
    (byte,) = finding.index
    where = f"byte {byte} of {finding.value}" if finding.value else units.address(byte)
    times = f", {finding.count} times" if finding.count > 1 else ""
    return f"{operator if finding.symbol else 'code outside operators'} {ACCESSES[finding.what]} {where}{times}"


def _share(used: float) -> str:
    return "more" if used > 1 else f"{100 * used:.0f} %"
