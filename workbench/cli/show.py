"""Print a network's IR: as imported, differentiated, optimized, or with its memory plan."""

from contextlib import nullcontext

from workbench.cli import options
from workbench.cli.output import picture_file, say, say_json, say_more, say_note, table
from workbench.cli.progress import stage
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
        help="with --stage backward: the full update; # is what the policy drops, + what it adds, ~ what it changes",
    )
    parser.add_argument("--picture", metavar="FILE", help="draw the graph instead: a .png, .svg or .pdf")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    if args.diff and args.stage != "backward":
        raise WorkbenchError("--diff compares training graphs", "give --stage backward with it")
    picture = picture_file("--picture", args.picture, args.force)
    model = options.model(args)
    from workbench.study.showing import show  # loads what a misspelt name should not wait for

    compiles = args.stage in ("optimized", "planned")
    with stage(args, f"{options.named(args, args.schedule)}: compiling") if compiles else nullcontext():
        shown = show(model, stage=args.stage, policy=args.policy, schedule=args.schedule, passes=options.passes(args),
                     optimizer=options.optimizer(args), loss=args.loss, objective=options.objective(args, model),
                     diff=args.diff)  # fmt: skip
    if picture:
        with stage(args, "drawing"):
            shown.plot(picture)
        say_more(args, f"Wrote {picture}")
    plan = shown.compiled if args.stage == "planned" else None
    if args.json:
        told = {"model": options.called(args), "policy": shown.policy.name, "schedule": args.schedule}
        planned = {} if plan is None else {"plan": [vars(buffer) for buffer in plan.memory.plan.buffers]}
        say_json(told | {"stage": args.stage, "diff": args.diff, "ir": shown.text} | planned)
        return 0
    if shown.full == shown.graph:
        say_note(f"{args.policy} drops nothing of the full update")
    if picture:
        return 0
    say(repr(shown))
    if plan is not None:
        say()
        say(plan_table(plan))
    return 0


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
