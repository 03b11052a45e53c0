"""List the passes in the order they run; with a network, what each did to its training step, or why it declined."""

from workbench.cli import options
from workbench.cli.output import say, say_json, table
from workbench.units import size

HELP = "list the passes over the training graph, or what each did to MODEL's"


def add_arguments(parser) -> None:
    options.add_model(parser, optional=True)
    options.add_compile(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    return _list(args.json) if args.model is None else _applied(args)


def _list(as_json: bool) -> int:
    from workbench.passes.pipeline import PASSES

    if as_json:
        say_json({"passes": [{"name": made.name, "schedules": list(made.schedules), "about": made.about}
                             for made in PASSES.values()]})  # fmt: skip
        return 0
    say(table(["pass", "schedules", "what it does"],
              [[made.name, ", ".join(made.schedules), made.about] for made in PASSES.values()], left=2))  # fmt: skip
    return 0


def _applied(args) -> int:
    compiled = options.compiled(args)
    if args.json:
        say_json({"model": args.model, "policy": args.policy, "passes": [vars(done) for done in compiled.passes],
                  "kept": compiled.kept})  # fmt: skip
        return 0
    rows = [
        [done.name, *(_change(*map(shown, pair)) for shown, pair in ((str, done.nodes), (size, done.peak_bytes))),
         f"{done.seconds:.2f} s", done.declined and f"declined: {done.declined}"]
        for done in compiled.passes
    ]  # fmt: skip
    took = "took (kept)" if compiled.kept else "took"  # when the step was compiled
    say(table(["pass", "nodes", "peak by liveness", took, ""], rows, left=1))
    return 0


def _change(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"
