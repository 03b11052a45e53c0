"""What a search for kernels' schedules leaves in its folder, and how it may be asked for. It loads at once.

studies.log                              the search itself: it goes on from there
kernels.toml   tuning.json  tuning.png   the schedules, all that was measured, the figure of it
kernels-sram.toml  kernels-64K.toml …    the same for another objective, or within another limit
"""

OBJECTIVES = ("cycles", "instructions", "sram")
TRIALS = 32
JOURNAL = "studies.log"


def names(objective: str, limit: str = "") -> tuple[str, str, str]:
    """Of the schedules, the record and the figure. `limit`: of the SRAM, as it was asked for."""
    which = "-".join(filter(None, ("", objective if objective != OBJECTIVES[0] else "", limit)))
    return f"kernels{which}.toml", f"tuning{which}.json", f"tuning{which}.png"
