"""List the operators of the IR: what they mean, whether they have a gradient and a C kernel."""

from workbench.cli.output import say, say_json, table

HELP = "list the operators"


def add_arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    import workbench.ops  # noqa: F401  registers them
    from workbench.ir.op import registered

    rows = [
        [
            op.name,
            sum(rule is not None for rule in op.grads),
            op.kernel.header if op.kernel else "none: a view",
            ", ".join(op.attrs),
        ]
        for op in registered().values()
    ]
    if args.json:
        say_json({"ops": [dict(zip(("name", "gradients", "kernel", "attributes"), row, strict=True)) for row in rows]})
        return 0
    say(table(["operator", "gradients", "kernel", "attributes"], rows))
    return 0
