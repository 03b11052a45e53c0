"""Each fault seeded into the C is found, by `check` at the operator that has it; the trace finds what it can see."""

import pytest
from seeded_faults import (
    FURTHER,
    LISTED,
    Fault,
    dense,
    found_by_check,
    found_by_trace,
    int8,
    named,
    pooled,
    rows,
    spoilt,
)

FAULTS = [*LISTED, *(pytest.param(fault, marks=pytest.mark.long) for fault in FURTHER)]
SOUND = [Fault("none", network, lambda files, built: {**files, "schedule.c": files["schedule.c"] + "\n"}, "")
         for network in (dense, pooled, rows, int8)]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_found(fault, tmp_path):
    built = spoilt(fault, tmp_path)
    assert fault.check in {named(finding.what, finding.symbol) for finding in found_by_check(built, fault)}
    assert found_by_trace(built, fault) == fault.trace


@pytest.mark.parametrize("fault", SOUND, ids=lambda fault: fault.network.__name__)
def test_nothing_is_found_where_there_is_none(fault, tmp_path):
    built = spoilt(fault, tmp_path)
    assert found_by_check(built, fault) == () and found_by_trace(built, fault) == ""
