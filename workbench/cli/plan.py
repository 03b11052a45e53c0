"""Plan memory: the arena of a network's training step, or the buffers of any CSV file (id,lower,upper,size)."""

import math
import time

from workbench.cli import options, values
from workbench.cli.output import output_file, say, say_json, say_more
from workbench.cli.progress import stage
from workbench.errors import BudgetError, WorkbenchError
from workbench.units import parse_bytes
from workbench.units import seconds as in_seconds

HELP = "plan the memory of a network, or of any buffer file"
SECONDS = 60  # of search, unless --time-limit says otherwise
MOST_ROWS = 100  # of a table on a terminal; a file holds any number


def add_arguments(parser) -> None:
    options.add_model(parser, optional=True)
    parser.add_argument("--buffers", metavar="FILE", help="a CSV file with the columns id,lower,upper,size")
    parser.add_argument("--capacity", metavar="N", help="bytes there are; more is refused (exit 3)")
    parser.add_argument(
        "--time-limit", type=values.seconds, metavar="S", help=f"seconds to search, with --buffers (default {SECONDS})"
    )
    options.add_compile(parser)
    options.add_output(parser, "CSV file to write, with an offset a buffer", "FILE")


def execute(args) -> int:
    from workbench.plan.problem import write_plan

    if (args.model is None) == (args.buffers is None):
        raise WorkbenchError("plan takes either a MODEL or --buffers FILE.csv")
    if args.model and args.time_limit is not None:
        raise WorkbenchError(
            "--time-limit goes with --buffers FILE.csv", "a network is planned within a limit of nodes"
        )
    asked = options.asked(args, options.add_compile)
    if args.buffers and asked:
        raise WorkbenchError(f"{asked[0]} goes with a MODEL", "a buffer file says all that its plan depends on")
    capacity = parse_bytes(args.capacity) if args.capacity else None
    path = output_file(args.output, args.force) if args.output else None
    plan, text = _of_file(args, capacity) if args.buffers else _of_model(args, capacity)
    if path:
        from workbench.record.folder import replacing

        with replacing(path) as part:
            write_plan(part, plan.buffers)
    if args.json:
        say_json({"bytes": plan.bytes, "bound": plan.bound, "proven": plan.proven, "optimal": plan.optimal,
                  "method": plan.method, "capacity": capacity,
                  "buffers": [vars(buffer) for buffer in plan.buffers]})  # fmt: skip
        return 0
    say(text)
    if path:
        say_more(args, f"Wrote {path}")
    elif args.buffers and len(plan.buffers) > MOST_ROWS:
        say_more(args, "-o FILE writes the offsets")
    return 0


def _of_file(args, capacity: int | None):
    from workbench.cli.show import placed_table
    from workbench.errors import InternalError
    from workbench.plan import validate
    from workbench.plan.problem import read_buffers

    buffers = read_buffers(args.buffers)
    seconds = SECONDS if args.time_limit is None else args.time_limit
    with stage(args, f"{args.buffers}: searching, {in_seconds(seconds)} at most"):
        plan = _searched(buffers, capacity, seconds)
    reason = validate(buffers, plan.buffers, plan.bytes)
    if reason:
        raise InternalError(f"the planner made an invalid plan: {reason}")
    text = f"{len(buffers)} buffers in {plan.bytes} bytes ({_verdict(plan)})"
    return plan, text if len(buffers) > MOST_ROWS else f"{text}\n{placed_table(plan.buffers)}"


def _searched(buffers, capacity: int | None, seconds: float):
    """A plan within `capacity`; without one, the smallest plan that the search finds."""
    from workbench.plan.allocate import allocate
    from workbench.plan.exact import Limit, fit
    from workbench.plan.greedy import greedy
    from workbench.plan.problem import plan_of

    if capacity is None:
        return allocate(buffers, looks=math.inf, seconds=seconds)
    start = time.perf_counter()
    plan = greedy(buffers, seconds)
    spent = time.perf_counter() - start
    _require_bound(buffers, plan, capacity)
    if plan.bytes <= capacity:
        return plan
    answer = fit(buffers, capacity, Limit(seconds=seconds - spent))
    if answer.placed is not None:
        return plan_of(answer.placed, plan.bound, "exact search")
    if answer.needed > capacity:
        raise BudgetError(f"no plan fits {capacity} bytes: proven by search, at least {answer.needed} are needed")
    raise BudgetError(
        f"no plan found in {in_seconds(spent + answer.seconds)} that fits {capacity} bytes: the best one takes "
        f"{plan.bytes}, {plan.bound} are alive at once",
        "--time-limit S searches longer",
    )


def _of_model(args, capacity: int | None):
    from workbench.cli.show import plan_table

    compiled = options.compiled(args)
    plan = compiled.memory.plan
    if capacity is not None and plan.bytes > capacity:
        _require_bound(plan.buffers, plan, capacity)
        if plan.proven > capacity:
            raise BudgetError(f"no plan fits {capacity} bytes: proven by search, at least {plan.proven} are needed")
        raise BudgetError(
            f"no plan found that fits {capacity} bytes: the best one takes {plan.bytes}, {plan.bound} are alive at once"
        )
    return plan, plan_table(compiled)


def _require_bound(buffers, plan, capacity: int) -> None:
    """Raise BudgetError where more bytes are alive at once than there are."""
    from workbench.plan.problem import busiest

    if plan.bound > capacity:
        raise BudgetError(
            f"no plan fits {capacity} bytes: {plan.bound} are alive at once, at position {busiest(buffers)}"
        )


def _verdict(plan) -> str:
    if plan.bytes == plan.bound:
        return f"optimal: as many are alive at once; {plan.method}"
    if plan.optimal:
        return f"optimal: proven by search; {plan.method}"
    return f"at most {plan.gap} above the optimum, {plan.bound} are alive at once; {plan.method}"
