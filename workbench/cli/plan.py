"""Plan memory: the arena of a network's training step, or the buffers of any CSV file (id,lower,upper,size)."""

from workbench.cli import options
from workbench.cli.output import output_file, say, say_json
from workbench.errors import BudgetError, WorkbenchError
from workbench.units import parse_bytes

HELP = "plan the memory of a network, or of any buffer file"


def add_arguments(parser) -> None:
    options.add_model(parser, optional=True)
    parser.add_argument("--buffers", metavar="FILE", help="a CSV file with the columns id,lower,upper,size")
    parser.add_argument("--capacity", metavar="N", help="bytes there are; more is refused (exit 3)")
    options.add_compile(parser)
    options.add_output(parser, "CSV file to write, with an offset a buffer")


def execute(args) -> int:
    from workbench.plan.problem import write_plan

    if (args.model is None) == (args.buffers is None):
        raise WorkbenchError("plan takes either a MODEL or --buffers FILE.csv")
    capacity = parse_bytes(args.capacity) if args.capacity else None
    path = output_file(args.output, args.force) if args.output else None
    plan, text = _of_file(args.buffers) if args.buffers else _of_model(args)
    if capacity is not None and plan.bytes > capacity:
        raise BudgetError(_too_large(plan, capacity))
    if path:
        write_plan(path, plan.buffers)
    if args.json:
        say_json({"bytes": plan.bytes, "bound": plan.bound, "optimal": plan.optimal, "method": plan.method,
                  "capacity": capacity, "buffers": [vars(buffer) for buffer in plan.buffers]})  # fmt: skip
        return 0
    say(text)
    if path:
        say(f"Wrote {path}")
    return 0


def _of_file(path: str):
    from workbench.errors import InternalError
    from workbench.plan import allocate, validate
    from workbench.plan.problem import read_buffers

    buffers = read_buffers(path)
    plan = allocate(buffers)
    reason = validate(buffers, plan.buffers, plan.bytes)
    if reason:
        raise InternalError(f"the planner made an invalid plan: {reason}")
    return plan, f"{len(buffers)} buffers in {plan.bytes} bytes ({_verdict(plan)})"


def _of_model(args):
    from workbench import session
    from workbench.cli.show import plan_table

    compiled = session.compile(options.model(args), args.policy, args.schedule, options.optimizer(args))
    return compiled.memory.plan, plan_table(compiled)


def _verdict(plan) -> str:
    if plan.optimal:
        return f"optimal: as many are alive at once; {plan.method}"
    return f"at most {plan.bytes - plan.bound} above the optimum, {plan.bound} are alive at once; {plan.method}"


def _too_large(plan, capacity: int) -> str:
    if plan.bound > capacity:
        return f"no plan fits {capacity} bytes: {plan.bound} are alive at once"
    return f"no plan found that fits {capacity} bytes: the best one takes {plan.bytes}, the bound is {plan.bound}"
