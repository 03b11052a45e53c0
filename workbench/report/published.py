"""Figures that others published, to stand beside ours as theirs: published.csv, with the source of each.

KB and MB are as published, which does not say whether they are of 1000 or of 1024 bytes.
"""

from pathlib import Path

import pandas as pd

FILE = Path(__file__).parent / "published.csv"
PEAK = "peak SRAM"
SOURCES = {
    "lin-2022": 'Lin et al. 2022, "On-Device Training Under 256KB Memory", NeurIPS, as MIT 6.5940\'s lecture shows it',
    "lecture": "MIT 6.5940, lecture on on-device training",
}


def published() -> pd.DataFrame:
    """A row a figure: what, network (as `workbench models` has it; "" for several), method, value, unit and source."""
    table = pd.read_csv(FILE, keep_default_na=False)
    return table.assign(source=table.source.map(SOURCES))
