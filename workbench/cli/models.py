"""List the built-in networks."""

from workbench.cli.output import say, say_json, table
from workbench.units import quantity

HELP = "list the built-in networks"


def add_arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench import frontends
    from workbench.frontends.loading import INT8, LOADERS

    models = [frontends.load(name) for name in frontends.names()]
    if args.json:
        say_json({"models": [{"name": m.name, "input": list(m.graph.types[m.graph.inputs[0]].shape), "macs": m.macs,
                   "parameters": m.parameter_count, "data": getattr(m.data, "source", m.data), "about": m.about}
                  for m in models]})  # fmt: skip
        return 0
    rows = [
        [
            m.name,
            "×".join(map(str, m.graph.types[m.graph.inputs[0]].shape)),
            quantity(m.macs),
            quantity(m.parameter_count),
            m.about,
        ]
        for m in models
    ]
    say(table(["network", "input", "MACs", "parameters", "what it is"], rows))
    say(f"\nNAME{INT8}: a float32 one, quantized after training · files ending in {', '.join(LOADERS)}: others, with "
        "their own weights · mynet.py:net: your own, in Python")  # fmt: skip
    return 0
