"""What may be chosen of how a kernel runs: an operator's attribute, `schedule="pixels=16"`.

It changes no bit of the result: only instructions, scratch, code. What it does not name is chosen by the operator's
rule, which is all that "" leaves. `Kernel.choices` tells what there is to choose; 0 stands for the kernel that works on
what it reads as it lies, and needs no scratch.
"""

import re
from collections.abc import Mapping

from workbench.errors import ScheduleError
from workbench.ir.op import Attrs

SCHEDULE: Attrs = {"schedule": ""}
CHOICE = re.compile(r"([a-z_]+)=(\d{1,6})")


def read(schedule: str) -> dict[str, int]:
    """{"pixels": 16} of "pixels=16". Raises ScheduleError for another text."""
    found = [CHOICE.fullmatch(word) for word in schedule.split(" ")] if isinstance(schedule, str) and schedule else []
    if schedule != "" and (not found or None in found):
        raise ScheduleError(f'a schedule is like "pixels=16"; got {schedule!r}')
    return {match[1]: int(match[2]) for match in found if match}


def written(chosen: Mapping[str, int]) -> str:
    """What `read` reads."""
    return " ".join(f"{name}={number}" for name, number in chosen.items())


def require_schedule(op: str, schedule: str, choices: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ScheduleError for a schedule that this operator cannot have."""
    for name, number in read(schedule).items():
        if number not in choices.get(name, ()):
            there_is = ", ".join(f"{each}={'|'.join(map(str, numbers))}" for each, numbers in choices.items())
            raise ScheduleError(f"{op}: no schedule is {name}={number}; there is {there_is or 'nothing to choose'}")
