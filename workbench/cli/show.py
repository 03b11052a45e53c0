"""Print a network's IR: as imported, differentiated, optimized, or with its memory plan."""

from workbench.cli import options
from workbench.cli.output import say, say_json, say_note, table
from workbench.errors import WorkbenchError
from workbench.units import ranges

HELP = "print a network's IR at a stage"
STAGES = ("forward", "backward", "optimized", "planned")


def add_arguments(parser) -> None:
    options.add_model(parser)
    parser.add_argument("--stage", default="forward", choices=STAGES, help="default forward")
    options.add_compile(parser)
    parser.add_argument(
        "--diff",
        action="store_true",
        help="with --stage backward: the full update; # is what the policy drops, + what it adds, ~ what it changes",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.ir.text import print_graph

    if args.diff and args.stage != "backward":
        raise WorkbenchError("--diff compares training graphs", "give --stage backward with it")
    model = options.model(args)
    policy = model.policy(args.policy)
    graph, plan = _at_stage(args, model, policy)
    text = _difference(args, model, graph) if args.diff else print_graph(graph)
    if args.json:
        found = {"model": options.called(args), "policy": policy.name, "schedule": args.schedule, "stage": args.stage}
        planned = {} if plan is None else {"plan": [vars(buffer) for buffer in plan.memory.plan.buffers]}
        say_json(found | {"diff": args.diff, "ir": text} | planned)
        return 0
    say(f"{_order(model, policy)}{text}".rstrip())
    if plan is not None:
        say()
        say(plan_table(plan))
    return 0


def _difference(args, model, smaller) -> str:
    """The text of how the policy's graph differs from the full update's."""
    from workbench.ir.diff import print_difference

    full, _ = _at_stage(args, model, model.policy("full"))
    if full == smaller:
        say_note(f"{args.policy} drops nothing of the full update")
    return print_difference(full, smaller)


def _order(model, policy) -> str:
    """Comments that name the channels of partly updated weights, where these are not the model's first."""
    from workbench.passes.apply_policy import apply_policy
    from workbench.passes.permute_channels import updated_channels

    if policy.channels == "first":
        return ""
    chosen = updated_channels(apply_policy(model.graph, policy), model.weights, policy)
    return "".join(f"# {name}: channels {ranges(some)} of {total} first\n" for name, (some, total) in chosen.items())


def _at_stage(args, model, policy):
    """The graph at the stage asked for; and, for `planned`, the compiled step."""
    from workbench.autodiff import differentiate, training_step
    from workbench.passes.apply_policy import apply_policy
    from workbench.passes.pipeline import chosen_passes, run_forward_passes

    marked = apply_policy(model.graph, policy)
    if args.stage == "forward":
        return marked, None
    aim = options.objective(args, model)
    part = not args.loss and model.graph.types[model.graph.outputs[0]].rank > 2  # of a network: no loss stands behind
    if args.stage == "backward" and not part:
        marked, weights, _ = run_forward_passes(marked, model.weights, chosen_passes("optimized"))
        return training_step(marked, options.optimizer(args), objective=aim, weights=weights), None
    if args.stage == "backward":
        wanted = [name for name in marked.parameters if marked.types[name].needs_grad]
        outside = marked.inputs if wanted == list(marked.parameters) else ()  # a part of a network, trained whole
        return differentiate(marked, [*outside, *wanted])[0], None
    compiled = options.compiled(args, model)
    return compiled.graph, compiled if args.stage == "planned" else None


def plan_table(compiled) -> str:
    """A table of the arena's storages: offsets and lifetimes."""
    plan, living = compiled.memory.plan, compiled.memory.liveness
    values = {storage.name: " ".join(f"%{value}" for value in storage.values) for storage in living.arena}
    names = {b.id: f"{compiled.graph.label(b.id)}  {values.get(b.id, '')}".rstrip() for b in plan.buffers}
    verdict = "optimal" if plan.optimal else f"bound {plan.bound}"
    return f"arena {plan.bytes} bytes ({verdict}; {plan.method})\n{placed_table(plan.buffers, names)}"


def placed_table(buffers, names: dict[str, str] | None = None) -> str:
    """A row a buffer, by the start of its lifetime; named by its id, or by `names`."""
    rows = [
        [b.offset, b.end, f"[{b.lower}, {b.upper})", b.size, names[b.id] if names else b.id]
        for b in sorted(buffers, key=lambda b: (b.lower, b.offset))
    ]
    return table(["offset", "end", "positions", "bytes", "buffer"], rows, left=0)
