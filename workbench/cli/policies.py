"""Explain update policies: what each would update, save for the backward and cost, by its plan."""

from workbench.cli import options
from workbench.cli.output import say, say_json, table
from workbench.errors import PolicyError
from workbench.units import quantity, size

HELP = "what update policies would update, save and cost"


def add_arguments(parser) -> None:
    options.add_model(parser)
    parser.add_argument(
        "--policies", metavar="A,B,C", help="default: full, bias-only, bias-only+head, the network's own or each last-K"
    )
    options.add_compile(parser, single_policy=False)
    parser.add_argument("--policy", metavar="P", help="one policy, layer by layer")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.study.policies import cost, layer_parts

    model = options.model(args)
    names = [args.policy] if args.policy else _names(args, model)
    costs = [cost(model, name, args.schedule, options.optimizer(args)) for name in names]
    parts = layer_parts(model, args.policy) if args.policy else []
    if args.json:
        say_json({"model": model.name, "schedule": args.schedule, "policies": [vars(each) for each in costs],
                  "layers": [vars(part) for part in parts]})  # fmt: skip
        return 0
    if parts:
        rows = [[part.layer, _share(part.weights, part.weights_of), _share(part.biases, part.biases_of)]
                for part in parts]  # fmt: skip
        say(table(["layer", "weights updated", "biases updated"], rows) + "\n")
    total = model.parameter_count
    rows = [
        [each.policy, _share(each.updated, total), size(each.parameters_bytes), size(each.saved_bytes),
         size(each.arena_bytes), quantity(each.forward_macs), quantity(each.backward_macs)]
        for each in costs
    ]  # fmt: skip
    heads = ["policy", "updated", "in SRAM", "saved", "arena", "MACs forward", "backward"]
    formulas = [each.formula_bytes for each in costs]
    if None not in formulas:
        heads.insert(4, "extra (formula)")
        rows = [[*row[:4], size(extra), *row[4:]] for row, extra in zip(rows, formulas, strict=True)]
    say(table(heads, rows))
    say("in SRAM: updated parameters and state · saved: what the forward keeps for the backward · all by plan; "
        "`workbench compare` measures")  # fmt: skip
    if None not in formulas:
        say(
            "extra (formula): masks, biases, updated weights and saved inputs as the sparse policies were searched with"
        )
    return 0


def _names(args, model) -> list[str]:
    from workbench.passes.apply_policy import weighted_layers

    if args.policies is not None:
        names = [name.strip() for name in args.policies.split(",") if name.strip()]
        if not names:
            raise PolicyError("--policies names nothing", "such as --policies full,bias-only+head")
        return names
    count = len(weighted_layers(model.graph))
    return ["full", "bias-only", "bias-only+head", *(model.policies or (f"last-{k}" for k in range(1, count)))]


def _share(part: int, whole: int) -> str:
    if not part:
        return "–"
    return "all" if part == whole else f"{quantity(part)}, {100 * part / whole:.3g} %"
