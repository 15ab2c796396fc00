"""What the README says is true: its study file is valid, its commands exist, its picture is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app
from search.files import parse_mapping
from search.planning import make_plan
from search.study import validate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_study_file_of_the_readme_can_be_planned() -> None:
    block = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert block
    plan = make_plan(validate(parse_mapping(block[1], "README"), "README", ROOT))
    assert (len(plan.arms), len(plan.contrasts)) == (10, 10)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"assay ([a-z]+)\b", README))))
def test_every_command_of_the_readme_exists(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output


def test_every_file_that_the_readme_shows_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
