"""Print a network's IR: as imported, differentiated, optimized, or with its memory plan."""

from workbench.cli import options
from workbench.cli.output import say, say_json, table
from workbench.errors import WorkbenchError

HELP = "print a network's IR at a stage"
STAGES = ("forward", "backward", "optimized", "planned")


def add_arguments(parser) -> None:
    options.add_model(parser)
    parser.add_argument("--stage", default="forward", choices=STAGES, help="default forward")
    options.add_compile(parser)
    parser.add_argument(
        "--diff",
        action="store_true",
        help="with --stage backward: the full update, what the policy drops commented out",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.ir.text import print_graph

    if args.diff:
        return _difference(args)
    graph, plan = _at_stage(args)
    if args.json:
        found = {"model": args.model, "policy": args.policy, "schedule": args.schedule, "stage": args.stage}
        planned = {} if plan is None else {"plan": [vars(buffer) for buffer in plan.memory.plan.buffers]}
        say_json(found | {"ir": print_graph(graph)} | planned)
        return 0
    say(print_graph(graph).rstrip())
    if plan is not None:
        say()
        say(plan_table(plan))
    return 0


def _difference(args) -> int:
    """What the policy drops of the full update."""
    from workbench.ir.diff import print_difference

    if args.stage != "backward":
        raise WorkbenchError("--diff compares training graphs", "give --stage backward with it")
    smaller, _ = _at_stage(args)
    args.policy = "full"
    say(print_difference(_at_stage(args)[0], smaller).rstrip())
    return 0


def _at_stage(args):
    """The graph at the stage asked for, and what was compiled where its plan is wanted."""
    from workbench.autodiff import differentiate, training_step
    from workbench.passes.apply_policy import apply_policy

    model = options.model(args)
    marked = apply_policy(model.graph, model.policy(args.policy))
    if args.stage == "forward":
        return marked, None
    if args.stage == "backward" and model.classifies:
        return training_step(marked, options.optimizer(args)), None
    if args.stage == "backward":
        wanted = [name for name in marked.parameters if marked.types[name].needs_grad]
        return differentiate(marked, [*marked.inputs, *wanted])[0], None
    compiled = options.compiled(args, model)
    return compiled.graph, compiled if args.stage == "planned" else None


def plan_table(compiled) -> str:
    """Where each storage of the arena lies and when it lives."""
    plan, living = compiled.memory.plan, compiled.memory.liveness
    values = {storage.name: " ".join(f"%{value}" for value in storage.values) for storage in living.arena}
    rows = [
        [b.offset, b.end, f"[{b.lower}, {b.upper})", b.size,
         f"{compiled.graph.label(b.id)}  {values.get(b.id, '')}".rstrip()]
        for b in sorted(plan.buffers, key=lambda b: (b.lower, b.offset))
    ]  # fmt: skip
    verdict = "optimal" if plan.optimal else f"bound {plan.bound}"
    heads = ["offset", "end", "positions", "bytes", "buffer"]
    return f"arena {plan.bytes} bytes ({verdict}; {plan.method})\n" + table(heads, rows, left=0)
