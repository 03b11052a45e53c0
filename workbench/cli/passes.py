"""List the passes in the order they run; with a network, what each did to its training step, or why it declined, the
regions that were made, and what holds the peak."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from workbench.cli import options
from workbench.cli.output import say, say_json, table
from workbench.units import size

if TYPE_CHECKING:
    from workbench.schedule.holders import Held, Peak, Tiles

HELP = "list the passes over the training graph, or what each did to MODEL's and what holds its peak"


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
    from workbench.schedule.holders import peak_of, regions_of

    compiled = options.compiled(args)
    made, peak = regions_of(compiled.graph), peak_of(compiled.graph)
    if args.json:
        say_json({"model": args.model, "policy": args.policy, "passes": [vars(done) for done in compiled.passes],
                  "kept": compiled.kept, "regions": [vars(each) for each in made],
                  "peak": peak and asdict(peak)})  # fmt: skip
        return 0
    rows = [
        [done.name, *(_change(*map(shown, pair)) for shown, pair in ((str, done.nodes), (size, done.peak_bytes))),
         f"{done.seconds:.2f} s", done.declined and f"declined: {done.declined}"]
        for done in compiled.passes
    ]  # fmt: skip
    took = "took (kept)" if compiled.kept else "took"  # when the step was compiled
    say(table(["pass", "nodes", "peak by liveness", took, ""], rows, left=1))
    if made:
        tiles = [[each.label, f"by {each.axis}", each.step, each.nodes, size(each.bytes)] for each in made]
        say("\n" + table(["region", "tiles", "a step", "nodes", "alive"], tiles, left=2))
    if peak:
        searched = any(done.name == "regions" for done in compiled.passes)
        say("\n" + "\n".join(_of_peak(peak, searched)))
    return 0


def _of_peak(peak: "Peak", searched: bool) -> list[str]:
    """What is alive at the peak, and why the nodes there do not run by tiles. `searched`: a pass looked for chains."""
    rows = [[size(each.bytes), each.label, _life(each)] for each in peak.buffers]
    rows += [[size(peak.scratch), "scratch", "of this node"]] if peak.scratch else []
    lines = [f"peak {size(peak.bytes)} at position {peak.position} of {peak.positions}, {peak.node}"]
    lines += [f"  {line}" for line in table(["bytes", "buffer", ""], rows, left=0).splitlines()[1:]]
    return [*lines, "why not by tiles", *(f"  {each.node}: {_why(each, searched)}" for each in peak.tiles)]


def _life(held: "Held") -> str:
    kept = "saved for the backward: " if held.saved else ""
    made = f"made by {held.maker}" if held.maker else "an input"
    return f"{kept}{made}, " + (f"last read by {held.last_reader}" if held.last_reader else "an output")


def _why(tiles: "Tiles", searched: bool) -> str:
    if tiles.region:
        return f"is a region by {tiles.region}; a longer one was not found to need less"
    able = [axis for axis, reason in tiles.reasons.items() if not reason]
    words = [f"by {axis}: {reason}" for axis, reason in tiles.reasons.items() if reason]
    if able:
        found = "but no chain with it was found to need less" if searched else "but the pass regions does not run"
        words.append(f"can run by {' and by '.join(able)}, {found}")
    return "; ".join(words)


def _change(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"
