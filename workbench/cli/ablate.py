"""`compare MODEL --ablate`: the waterfall from vanilla to optimized, pass by pass, and what each pass is worth."""

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_error, say_json, say_more, table
from workbench.errors import WorkbenchError
from workbench.policy import parse_policy
from workbench.units import change, kilobytes, quantity


def ablate(args, policies: list[str]) -> int:
    """Run the cells of one policy, a step each, and print both tables; the exit code of the worst cell."""
    import pandas as pd

    from workbench.study.ablate import ablation_cells, ablation_rows, steps_of
    from workbench.study.compare import check_names, compare_cells

    if len(policies) != 1 or args.passes:
        raise WorkbenchError("--ablate takes one policy and chooses the passes itself", "such as --policies full")
    board, model = options.board(args), options.model(args)
    wanted = ablation_cells(policies[0])
    check_names(model, wanted)
    label = f"ablate-{parse_policy(policies[0]).name}"
    folder = output_folder(args.output, options.run_name(args, board, label=label), args.force)
    how = vars(options.training(args)) | {"steps": 1, "epochs": None, "evaluate": False}
    comparison = compare_cells(
        model, wanted, board=board, optimizer=options.optimizer(args), jobs=args.jobs, folder=folder, **how
    )
    waterfall, off = (ablation_rows(steps) for steps in steps_of(comparison))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ablation.csv"
    rows = pd.DataFrame([*waterfall, *off])
    if len(rows):
        rows.assign(passes=rows.passes.map(" ".join)).to_csv(path, index=False)
    if args.json:
        say_json({"model": model.name, "policy": policies[0], "waterfall": waterfall, "without": off})
        return comparison.exit_code
    say(f"{model.name} · {policies[0]} · {board.name} · one step, measured\n")
    say(_table(waterfall, "each pass added in turn", waterfall))
    say()
    say(_table(off, "optimized without", waterfall))
    for outcome in comparison.failed:
        say_error(f"{outcome.cell}: {outcome.error}")
    say_more(args, f"Wrote {path}")
    return comparison.exit_code


def _table(rows: list[dict], head: str, waterfall: list[dict]) -> str:
    """A row a change. In the waterfall held against the row above, without a pass against optimized."""
    cells = []
    for index, row in enumerate(rows):
        before = (waterfall[index - 1] if index else None) if rows is waterfall else (waterfall or [None])[-1]
        arena, instructions = (
            change(before[key], row[key]) if before else "" for key in ("arena_planned", "instructions_per_step")
        )
        cells.append([
            row["change"], kilobytes(row["arena_planned"]), arena, kilobytes(row["sram_peak"]),
            quantity(row["instructions_per_step"]), instructions,
        ])  # fmt: skip
    return table([head, "arena", "", "SRAM measured", "instructions", ""], cells)
