"""Plans are valid and never below the bound; the validator catches every kind of wrong one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import PlanError
from workbench.plan import Buffer, Placed, allocate, lower_bound, validate
from workbench.plan.problem import read_buffers, write_plan


@st.composite
def problems(draw) -> list[Buffer]:
    count = draw(st.integers(0, 14))
    buffers = []
    for number in range(count):
        lower = draw(st.integers(0, 12))
        buffers.append(Buffer(f"b{number}", lower, lower + draw(st.integers(1, 8)), draw(st.integers(1, 50))))
    return buffers


@settings(max_examples=200, deadline=None)
@given(problems())
def test_plans_are_valid_and_at_least_the_bound(buffers):
    plan = allocate(buffers)
    assert validate(buffers, plan.buffers, plan.bytes) is None
    most = max((sum(b.size for b in buffers if b.lower <= p < b.upper) for p in range(21)), default=0)
    assert plan.bound == lower_bound(buffers) == most <= plan.bytes
    if buffers:
        assert plan.bytes == max(b.end for b in plan.buffers)
        assert validate(buffers, plan.buffers, plan.bytes - 1)


@settings(max_examples=200, deadline=None)
@given(problems(), st.data())
def test_the_validator_agrees_with_a_picture_of_the_arena(buffers, data):
    """Random offsets: paint every byte of every position; two owners of one byte is what `validate` must say."""
    placed = [Placed(b.id, b.lower, b.upper, b.size, data.draw(st.integers(0, 120))) for b in buffers]
    capacity = max((p.end for p in placed), default=0)
    painted = [
        (position, byte) for p in placed for position in range(p.lower, p.upper) for byte in range(p.offset, p.end)
    ]
    assert (validate(buffers, placed, capacity) is None) == (len(painted) == len(set(painted)))


def test_the_gap_below_the_first_live_block_is_used_again():
    """a (40) ends, b (10) above it lives on; c (40) fits below b: 50 bytes in all, where the classic bug takes 90."""
    buffers = [Buffer("a", 0, 1, 40), Buffer("b", 0, 3, 10), Buffer("c", 1, 3, 40)]
    plan = allocate(buffers)
    assert (plan.bytes, plan.optimal) == (50, True)


def test_equal_lifetimes_overlap():
    plan = allocate([Buffer("a", 2, 5, 8), Buffer("b", 2, 5, 8)])
    assert plan.bytes == 16


GOOD = [Buffer("a", 0, 2, 8), Buffer("b", 1, 3, 8), Buffer("c", 2, 4, 8)]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: [replace(p[0], offset=p[1].offset), *p[1:]], "overlap at position 1"),
        (lambda p: [replace(p[0], offset=9), *p[1:]], "leaves the 16 bytes"),
        (lambda p: [replace(p[0], offset=-1), *p[1:]], "leaves the 16 bytes"),
        (lambda p: [replace(p[0], size=4), *p[1:]], "was changed"),
        (lambda p: [replace(p[0], upper=1), *p[1:]], "was changed"),
        (lambda p: p[1:], "each buffer once"),
        (lambda p: [*p, p[0]], "each buffer once"),
    ],
)
def test_a_wrong_plan_is_refused(spoil, reason):
    plan = allocate(GOOD)
    assert reason in validate(GOOD, spoil(list(plan.buffers)), 16)


def test_csv_round_trip(tmp_path):
    path = tmp_path / "plan.csv"
    plan = allocate(GOOD)
    write_plan(path, plan.buffers)
    assert path.read_text().splitlines()[:2] == ["id,lower,upper,size,offset", f"a,0,2,8,{plan.buffers[0].offset}"]
    assert read_buffers(path) == GOOD


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a buffer file"),
        ("id,lower,upper,size\n", "at least one row"),
        ("id,lower,size\na,0,1\n", "id,lower,upper,size"),
        ("id,lower,upper,size\na,0,two,8\n", ":2: lower, upper and size are whole numbers"),
        ("id,lower,upper,size\na,0,1,8\nb,3,3,8\n", ":3: buffer b: a lifetime"),
        ("id,lower,upper,size\na,0,1,0\n", "a size is positive"),
        ("id,lower,upper,size\na,0,1,8\na,1,2,8\n", ":3: buffer a is there twice"),
        ("id,lower,upper,size\na,0\n", ":2: upper and size are missing"),
        ("id,lower,upper,size\na,0,,8\n", ":2: upper is missing"),
        ("id,lower,upper,size\na,0,1,8,4\n", ":2: there are 5 fields, but 4 columns"),
        ("id;lower;upper;size\na;0;1;8\n", "it begins with 'id;lower;upper;size'"),
        ("id,lower,upper,size,alignment\na,0,1,8,16\n", "nothing is planned by alignment"),
    ],
)
def test_bad_buffer_files_are_told_where(tmp_path, text, message):
    path = tmp_path / "buffers.csv"
    path.write_text(text)
    with pytest.raises(PlanError) as caught:
        read_buffers(path)
    assert message in str(caught.value)


def test_a_buffer_file_as_a_spreadsheet_writes_it(tmp_path):
    path = tmp_path / "buffers.csv"
    path.write_text("\ufeffid, lower, upper, size, offset\r\n a , 0 , 2 , 8 , 3\r\n\r\nb, 1, 3, 8, 0\r\n", newline="")
    assert read_buffers(path) == GOOD[:2]


def test_of_a_plan_table_the_arena_is_planned(tmp_path):
    path = tmp_path / "buffers.csv"
    path.write_text("id,name,storage,size,lower,upper\n0,w,sram,16,,\n1,a,arena,8,0,2\n")
    assert read_buffers(path) == [Buffer("1", 0, 2, 8)]


def test_a_missing_or_binary_buffer_file(tmp_path):
    with pytest.raises(PlanError, match="cannot be read"):
        read_buffers(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(PlanError, match="cannot be read"):
        read_buffers(tmp_path / "binary.csv")


def test_minimalloc_inputs(shared_data):
    small = read_buffers(shared_data / "minimalloc" / "input.12.csv")
    assert allocate(small).bytes == 12
    large = read_buffers(shared_data / "minimalloc" / "B.1048576.csv")
    plan = allocate(large)
    assert validate(large, plan.buffers, plan.bytes) is None
    assert plan.bound <= 1048576
