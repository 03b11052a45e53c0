"""Print a network's IR: as imported, differentiated, optimized, or with its memory plan."""

from workbench.cli import options
from workbench.cli.output import say, table

HELP = "print a network's IR at a stage"


def add_arguments(parser) -> None:
    options.add_model(parser)
    parser.add_argument(
        "--stage", default="forward", choices=("forward", "backward", "optimized", "planned"), help="default forward"
    )
    options.add_compile(parser)


def execute(args) -> int:
    from workbench import session
    from workbench.autodiff import differentiate, training_step
    from workbench.ir.text import print_graph
    from workbench.passes.apply_policy import apply_policy
    from workbench.policy import parse_policy

    model = options.model(args)
    marked = apply_policy(model.graph, parse_policy(args.policy))
    if args.stage == "forward":
        say(print_graph(marked).rstrip())
    elif args.stage == "backward" and model.classifies:
        say(print_graph(training_step(marked, options.optimizer(args))).rstrip())
    elif args.stage == "backward":
        wanted = [name for name in marked.parameters if marked.types[name].needs_grad]
        say(print_graph(differentiate(marked, [*marked.inputs, *wanted])[0]).rstrip())
    else:
        compiled = session.compile(model, args.policy, args.schedule, options.optimizer(args))
        say(print_graph(compiled.graph).rstrip())
        if args.stage == "planned":
            say()
            say(plan_table(compiled))
    return 0


def plan_table(compiled) -> str:
    """Where each storage of the arena lies and when it lives."""
    plan, living = compiled.memory.plan, compiled.memory.liveness
    values = {storage.name: " ".join(f"%{value}" for value in storage.values) for storage in living.arena}
    rows = [
        [
            b.offset,
            b.end,
            f"[{b.lower}, {b.upper})",
            b.size,
            f"{compiled.graph.label(b.id)}  {values.get(b.id, '')}".rstrip(),
        ]
        for b in sorted(plan.buffers, key=lambda b: (b.lower, b.offset))
    ]
    verdict = "optimal" if plan.optimal else f"bound {plan.bound}"
    return f"arena {plan.bytes} bytes ({verdict}; {plan.method})\n" + table(
        ["offset", "end", "positions", "bytes", "buffer"], rows, 0
    )
