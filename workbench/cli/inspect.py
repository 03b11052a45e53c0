"""Tell a network's layers, what of a file is not supported, and what training it would take: before it is compiled."""

import shlex

from workbench import boards
from workbench.cli import options
from workbench.cli.output import names, say, say_error, say_json, say_more, table
from workbench.cli.progress import stage
from workbench.errors import ModelError, PolicyError
from workbench.policy import HELP as HELP_ON_POLICIES
from workbench.policy import parse_policies
from workbench.units import size

HELP = "layers, obstacles, and what training would take"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    default = "default: full, bias-only, the network's own or the last layers"
    parser.add_argument("--policies", metavar="A,B,C", help=f"those to estimate ({default})")
    parser.add_argument(
        "--board",
        metavar="B",
        help=f"the one to fit on (default: {' and '.join(each.name for each in boards.REFERENCE)})",
    )
    parser.add_argument("--sram", metavar="SIZE", help="another SRAM limit, like 96K")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    for action in parser._actions:
        if action.dest == "policy":
            action.help = f"the one that the layers are told for: {HELP_ON_POLICIES} (default full)"


def execute(args) -> int:
    from workbench.frontends.obstacles import Unsupported

    wanted = _boards(args)
    try:
        model = options.model(args)
    except Unsupported as error:
        return _refuse(args, error)
    from workbench.diagnosis import limits
    from workbench.study.inspection import trained_layers, usual_policies

    aim = options.objective(args, model)
    layers = trained_layers(model, args.policy, aim)
    asked = usual_policies(model) if args.policies is None else names(args.policies, "--policies")
    policies = parse_policies(asked, model.policy)
    estimates, why = _estimates(args, model, policies, wanted)
    if args.json:
        say_json(_as_json(args, model, layers, [], estimates, why, limits(model, aim)))
        return 0
    from workbench.frontends.summary import title

    say(f"{title(model)}\n")
    say(f"{_layers(layers, _input(model))}\n")
    if why:
        say(why)
        return 0
    say(_policies(estimates, sum(each.trainable for each in layers)))
    say_more(args, "\n".join([_legend(args, estimates), *(f"note: {limit}" for limit in limits(model, aim))]))
    return 0


def _boards(args) -> list:
    """The boards to fit on: --board, or the two of reference. `--sram` limits --board, or the default board."""
    if args.board is None and args.sram is None:
        return list(boards.REFERENCE)
    return [boards.chosen(args.board or boards.DEFAULT, args.sram)]


def _estimates(args, model, policies, wanted):
    """The estimate of each policy; or none, and the reason."""
    from workbench.study.inspection import estimate

    found = []
    for number, policy in enumerate(policies, 1):
        try:
            with stage(args, f"{policy.name}: planning ({number} of {len(policies)})"):
                found.append(estimate(model, policy, args.schedule, options.optimizer(args), options.passes(args),
                                      wanted, args.policies is None, options.objective(args, model)))  # fmt: skip
        except (ModelError, PolicyError) as error:
            if args.policies is not None:
                raise
            return [], error.message
    return found, None


def _refuse(args, error) -> int:
    """Print all obstacles of a file, and the layers before the first one."""
    from workbench.frontends.obstacles import grouped
    from workbench.frontends.summary import title
    from workbench.study.inspection import trained_layers

    layers = trained_layers(error.before) if error.before else []
    if args.json:
        say_json(_as_json(args, error.before, layers, error.obstacles, [], error.message.splitlines()[0]))
    else:
        if error.before:
            say(f"before the first obstacle: {title(error.before)}\n")
            say(f"{_layers(layers, _input(error.before))}\n")
        for each in error.obstacles:
            say(str(each))
            if each.operator:
                say(f"    {', '.join(each.operands)} → {', '.join(each.results)}")
        hints = dict.fromkeys(f"help: {each.hint}" for each in error.obstacles if each.hint and not each.operator)
        kind = "onnx" if str(args.model).lower().endswith(".onnx") else "tflite"
        told = f"types have the file's own order of axes; `workbench ops --frontend {kind}` lists what is supported"
        say_more(args, "\n".join(["", told, *hints]))
    count, kinds = len(error.obstacles), len(grouped(error.obstacles))
    say_error(f"{args.model} cannot be imported: {count} obstacle{'s' * (count > 1)}"
              f"{f' of {kinds} kinds' if 1 < kinds < count else ''}")  # fmt: skip
    return 1


def _layers(layers, source: str) -> str:
    from workbench.study.inspection_tables import layers_table

    return _right_aligned(*layers_table(layers, source), 3)


def _input(model) -> str:
    return model.graph.types[model.graph.inputs[0]].dtype


def _policies(estimates, trainable: int) -> str:
    from workbench.study.inspection_tables import policies_table

    return _right_aligned(*policies_table(estimates, trainable), 1)


def _right_aligned(heads: list[str], rows: list[list[str]], left: int) -> str:
    """`table` leaves its last column to the left: here it holds numbers too."""
    width = max(len(row[-1]) for row in (heads, *rows))
    return table([*heads[:-1], heads[-1].rjust(width)], [[*row[:-1], row[-1].rjust(width)] for row in rows], left)


def _legend(args, estimates) -> str:
    from workbench.study.policies import CODE, STACK

    told = [
        f"layers: updated, and MACs backward, under the policy {args.policy}",
        f"policies are estimates: SRAM = arena (planned) + static + {size(STACK)} of stack (assumed); instructions by "
        "MACs and",
        "elements, 0.6 to 1.3 of what is counted; `workbench compare` measures",
        f"fits: SRAM, and the first values of all parameters in flash, with {size(CODE)} of code (assumed)",
    ]  # fmt: skip
    if any(each.at_most for each in estimates):
        smallest = shlex.quote(estimates[-1].cost.policy)
        told.append("≤: planned without the pass regions, which takes long; "
                    f"`workbench inspect {shlex.quote(args.model)} --policies {smallest}` plans with it")  # fmt: skip
    return "\n".join(told)


def _as_json(args, model, layers, obstacles, estimates, why, limits=()) -> dict:
    macs = None if model is None else {
        "forward": model.macs,
        "backward": None if any(each.backward_macs is None for each in layers)
        else sum(each.backward_macs for each in layers),
    }  # fmt: skip
    return {
        "model": options.called(args), "policy": args.policy, "schedule": args.schedule,
        "layers": [each.as_json() for each in layers],
        "parameters": model.parameter_count if model else None, "macs": macs,
        "trainable": sum(each.trainable for each in layers), "untrainable_because": why,
        "unsupported": [each.as_json() for each in obstacles],
        "notes": [*model.notes, *limits] if model else [],
        "policies": [each.as_json() for each in estimates],
    }  # fmt: skip
