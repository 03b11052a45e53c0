"""Processes: results come as they arrive, a crash costs one item, leaving early ends what is under way."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from workbench.study.processes import PATIENCE, Died, in_processes, uninterrupted


def square(number):
    return number * number


def crash(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 2:
        os._exit(7)
    return number


def linger(path):
    """A file that is there as long as this runs."""
    with open(path, "x"):
        try:
            time.sleep(60)
        finally:
            os.remove(path)


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_item_gets_its_result(jobs):
    assert dict(in_processes(square, [1, 2, 3, 4, 5], jobs)) == {0: 1, 1: 4, 2: 9, 3: 16, 4: 25}


def test_a_crash_costs_one_item():
    results = dict(in_processes(crash, [0, 1, 2, 3], 2))
    assert results == {0: 0, 1: Died(-signal.SIGSEGV), 2: Died(7), 3: 3}
    assert str(results[1]) == "its process was ended by SIGSEGV"
    assert str(results[2]) == "its process ended with exit code 7"


def test_leaving_early_ends_what_is_under_way_and_lets_it_clean_up(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    with pytest.raises(KeyboardInterrupt), closing(in_processes(wait_for_company, [*paths, "done"], 3)) as arriving:
        assert next(arriving) == (2, "done")
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(list(tmp_path.iterdir())) == 2
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def cling(path):
    """Takes no hint to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    linger(path)


def test_those_that_do_not_end_by_themselves_are_killed_all_together(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    arriving = in_processes(cling_or_wait, [*map(str, paths), str(tmp_path)], 4)
    assert next(arriving)[1] == 3
    start = time.monotonic()
    arriving.close()
    assert time.monotonic() - start < 2 * PATIENCE
    assert dict(in_processes(square, [3], 1)) == {0: 9}  # with a new server


def cling_or_wait(path):
    return cling(path) if not os.path.isdir(path) else there_are(3, path)


def there_are(count, folder):
    deadline = time.monotonic() + 20
    while len(os.listdir(folder)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(os.listdir(folder))


def wait_for_company(path):
    return path if path == "done" else linger(path)


def test_an_interrupt_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append(True)
    assert done


def test_the_server_never_hears_ctrl_c():
    """Not even while its interpreter starts: it would die of it, and tell a traceback."""
    program = (
        "from multiprocessing import forkserver\n"
        "from workbench.study import processes\n"
        "processes.PRELOAD = []\n"
        "processes._context()\n"
        "print(open(f'/proc/{forkserver._forkserver._forkserver_pid}/status').read())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (blocked,) = re.findall(r"SigBlk:\t(\w+)", done.stdout)
    assert int(blocked, 16) & 1 << signal.SIGINT - 1
