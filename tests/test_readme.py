"""What README, CONTRIBUTING and `workbench help` tell to type can be typed; links lead somewhere."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from test_imports import FREE, ORDER

from workbench.cli.epilogs import EPILOGS, POLICIES
from workbench.cli.grammar import VERBS, parse
from workbench.policy import parse_policy

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "workbench/DESIGN.md", "workbench/record/FORMATS.md")]
OWN = ("setup", "test")  # verbs of workbench.sh itself


def commands(page: Path) -> list[str]:
    """Every `./workbench.sh …` of a page, in blocks and in sentences, without what is told behind it."""
    text = page.read_text()
    lines = re.findall(r"^\./workbench\.sh .*", text, re.M)
    inline = re.findall(r"`(\./workbench\.sh [^`]*)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    return [" ".join(command.split("   ")[0].partition(" # ")[0].split()) for command in (*lines, *inline)]


def test_pages_tell_commands():
    assert len(commands(ROOT / "README.md")) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_can_be_typed(page):
    for command in commands(page):
        verb, *words = shlex.split(command.removeprefix("./workbench.sh "))
        if verb in OWN or "VERB" in command or "…" in command:
            continue
        if verb == "help":
            assert not words or words[0] in VERBS, command
        else:
            assert parse([verb, *words]).verb == verb, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    gone = [name for name in targets if "://" not in name and not (page.parent / name.partition("#")[0]).exists()]
    assert gone == []


def test_every_epilog_belongs_to_a_verb_and_fits_a_terminal():
    assert set(EPILOGS) <= set(VERBS)
    assert max(len(line) for text in EPILOGS.values() for line in text.splitlines()) <= 80


def test_the_policy_file_that_help_shows_is_one(tmp_path):
    shown = re.search(r"^    name = .*", POLICIES, re.M | re.S)[0]
    file = tmp_path / "other.toml"
    file.write_text("\n".join(line.strip() for line in shown.splitlines()))
    policy = parse_policy(str(file))
    assert (policy.name, policy.channels) == (tomllib.loads(file.read_text())["name"], "largest")
    assert {part.layers: part.fraction for part in policy.weights} == {"conv2": 0.25, "head": 1.0, "blocks.3.*": 0.5}


DESIGN = ROOT / "workbench" / "DESIGN.md"


def test_the_import_order_that_is_told_is_the_one_that_is_held():
    told = re.search(r"^<!-- order.*?-->\n`(.*?)`", DESIGN.read_text(), re.M | re.S)[1]
    assert [name.strip() for name in told.split("<")] == ORDER
    free = re.search(r"^Free modules.*?kind: (.*?)\.\n", DESIGN.read_text(), re.M | re.S)[1]
    assert set(re.findall(r"`(\w+)`", free)) == FREE


def test_files_that_the_design_names_are_there():
    names = set(re.findall(r"`([\w/]+(?:\.py|\.c|\.h|/))`", DESIGN.read_text()))
    parts = [path for name in ("workbench", "tests", "firmware_templates") for path in (ROOT / name).rglob("*")]
    known = {path.relative_to(ROOT).as_posix() for path in (*parts, *ROOT.glob("*"))}
    ends = lambda name: any(path == name or path.endswith(f"/{name}") for path in known)  # noqa: E731
    assert len(names) > 30
    assert [name for name in sorted(names - {"model.h", "out/"}) if not ends(name.rstrip("/"))] == []


def test_symbols_of_the_protocol_are_those_of_the_firmware():
    told = set(re.findall(r"^\| `?(wb_\w+)|`(wb_\w+)", DESIGN.read_text(), re.M))
    c = "".join(path.read_text() for path in (ROOT / "firmware_templates").rglob("*.[ch]"))
    python = "".join(path.read_text() for path in (ROOT / "workbench").rglob("*.py"))
    assert [name for pair in told for name in pair if name and name not in c + python] == []
