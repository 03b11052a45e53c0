"""List the passes in the order they run: what each does, and which schedules have it."""

from workbench.cli.output import say, say_json, table

HELP = "list the passes over the training graph"


def add_arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.passes.pipeline import PASSES

    if args.json:
        say_json({"passes": [{"name": made.name, "schedules": list(made.schedules), "about": made.about}
                             for made in PASSES.values()]})  # fmt: skip
        return 0
    say(table(["pass", "schedules", "what it does"],
              [[made.name, ", ".join(made.schedules), made.about] for made in PASSES.values()], left=2))  # fmt: skip
    return 0
