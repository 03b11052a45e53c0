"""Explain update policies: what each would update, save for the backward and cost, by its plan."""

from typing import Any

from workbench.cli import options
from workbench.cli.output import names, picture_file, say, say_json, say_more, table
from workbench.cli.progress import stage
from workbench.policy import HELP as HELP_ON_POLICIES
from workbench.policy import parse_policies
from workbench.units import quantity, ranges, size

HELP = "what update policies would update, save and cost"


def add_arguments(parser) -> None:
    options.add_model(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--policies", metavar="A,B,C", help="default: full, bias-only, bias-only+head, the network's own or each last-K"
    )
    options.add_compile(parser, single_policy=False)
    options.add_board(parser, builds=False)
    which.add_argument("--policy", metavar="P", help=f"one policy, layer by layer; {HELP_ON_POLICIES}")
    parser.add_argument("--picture", metavar="FILE", help="draw what each updates of each layer: a .png, .svg or .pdf")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    picture = picture_file("--picture", args.picture, args.force)
    board = options.board(args)
    model = options.model(args)
    asked = _names(args, model) if args.policy is None else [args.policy]
    policies = parse_policies(asked, model.policy)
    from workbench.study.policies import (
        CODE,
        STACK,
        cost,
        layer_parts,
    )  # seconds to load: a misspelt name should not wait for it

    costs: list[Any] = []
    for policy in policies:
        with stage(args, f"{policy.name}: compiling ({len(costs) + 1} of {len(policies)})"):
            costs.append(cost(model, policy, args.schedule, options.optimizer(args), options.passes(args),
                              options.objective(args, model)))  # fmt: skip
    if picture:
        with stage(args, "drawing"):
            _draw(model, policies, picture)
    parts = [] if args.policy is None else layer_parts(model, policies[0])
    if args.json:
        how = {"model": model.name, "schedule": args.schedule, "passes": args.passes}
        told = {"policies": [_as_json(each, board) for each in costs], "layers": [vars(part) for part in parts]}
        say_json(how | {"board": board.name, "sram_limit": board.sram_size} | told)
        return 0
    if parts:
        rows = [[part.layer, _share(part.weights, part.weights_of), _share(part.biases, part.biases_of),
                 _channels(part)] for part in parts]  # fmt: skip
        heads = ["layer", "weights updated", "biases updated", "channels" * any(part.channels for part in parts)]
        say(table(heads, rows) + "\n")
    total = model.parameter_count
    rows = [
        [each.policy, _share(each.updated, total), size(each.parameters_bytes), size(each.saved_bytes),
         size(each.arena_bytes), size(each.parameters_bytes + each.arena_bytes),
         quantity(each.forward_macs), quantity(each.backward_macs), "yes" if each.fits(board) else "no"]
        for each in costs
    ]  # fmt: skip
    heads = ["policy", "updated", "in SRAM", "saved", "arena", "SRAM without stack", "MACs forward", "backward", "fits"]
    formulas = [each.formula_bytes for each in costs]
    if None not in formulas:
        heads.insert(4, "extra (formula)")
        rows = [[*row[:4], size(extra), *row[4:]] for row, extra in zip(rows, formulas, strict=True)]
    say(table(heads, rows))
    say("in SRAM: updated parameters and state · saved: what the forward keeps for the backward · SRAM without stack: "
        "in SRAM + arena · all by plan; `workbench compare` measures\n"
        f"fits: {board.name} has {size(board.sram_size)} of SRAM, {size(board.flash_size)} of flash for the first "
        f"values of all parameters; {size(STACK)} of stack and {size(CODE)} of code are assumed")  # fmt: skip
    if None not in formulas:
        say(
            "extra (formula): masks, biases of 32 bits, updated weights and saved inputs as the sparse policies were "
            "searched with"
        )
    if picture:
        say_more(args, f"Wrote {picture}")
    return 0


def _draw(model, policies, path) -> None:
    from workbench.study.policies import plot_policies

    plot_policies(model, policies, path)


def _as_json(cost, board) -> dict:
    return vars(cost) | {"sram_bytes": cost.sram_bytes, "fits": cost.fits(board)}


def _names(args, model) -> list[str]:
    from workbench.passes.apply_policy import weighted_layers

    if args.policies is not None:
        return names(args.policies, "--policies")
    count = len(weighted_layers(model.graph))
    last = () if model.published else (f"last-{k}" for k in range(1, count))
    return ["full", "bias-only", "bias-only+head", *model.policies, *last]


def _channels(part) -> str:
    return f"{ranges(part.channels)} of {part.channels_of}" if part.channels else ""


def _share(part: int, whole: int) -> str:
    if not part:
        return "–"
    return "all" if part == whole else f"{quantity(part)}, {100 * part / whole:.3g} %"
