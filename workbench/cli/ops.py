"""List the operators of the IR, or those that are imported from files: what they mean, gradients and C kernels."""

from workbench.cli.output import say, say_json, table

HELP = "list the operators"


def add_arguments(parser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--frontend", choices=("onnx", "tflite", "torch"), help="those that are imported from there")
    which.add_argument("--tiles", action="store_true", help="whether each can run by rows and by channels, or why not")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    heads, rows = _imported(args.frontend) if args.frontend else _by_tiles() if args.tiles else _own()
    if args.json:
        say_json({"ops": [dict(zip(heads, row, strict=True)) for row in rows]})
    else:
        say(table(["operator", *heads[1:]], rows, left=len(heads) if args.tiles else 1))
    return 0


def _own():
    import workbench.schedule  # noqa: F401  registers them
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
    return ["name", "gradients", "kernel", "attributes"], rows


def _by_tiles():
    """`of`: the dtype of the first operand."""
    from workbench.schedule.holes import holes
    from workbench.schedule.stages import ALONG

    rows = [[name, of, *(reason or "runs" for reason in told.values())] for (name, of), told in holes().items()]
    return ["name", "of", *ALONG], rows


def _imported(frontend: str):
    from workbench.frontends import loading

    known = loading.frontend(frontend).OPERATORS  # PyTorch's tell no more than their names
    return ["name", "imported"], [[name, getattr(imported, "about", "")] for name, imported in sorted(known.items())]
