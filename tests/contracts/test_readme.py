"""What the README says is true: its study file is valid, its commands exist, its picture is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from search.cli import app
from search.plan.builder import make_plan
from search.store.yaml_files import parse_mapping
from search.study.loading import validate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


STUDIES = (ROOT / "search/study/presets/README.md").read_text()


def yaml_blocks(text: str) -> list[dict[str, Any]]:
    return [parse_mapping(block, "README") for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def test_the_study_file_of_the_readme_can_be_planned() -> None:
    plan = make_plan(validate(yaml_blocks(README)[0], "README", ROOT))
    assert (len(plan.arms), len(plan.contrasts)) == (10, 10)


def test_the_study_files_of_their_own_readme_can_be_planned() -> None:
    whole, compared = yaml_blocks(STUDIES)
    plan = make_plan(validate(whole, "README", ROOT))
    assert (len(plan.conditions), len(plan.arms), len(plan.contrasts)) == (3, 21, 21)
    assert set(plan.nuisance) == {"learning_rate", "weight_decay", "batch_size"}
    plan = make_plan(validate({"data": "cifar10", "recipe": {"model": "resnet18"}, **compared}, "README", ROOT))
    assert next(arm.method for arm in plan.arms if arm.reference) == "stem=imagenet, optimizer=adam"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"assay ([a-z]+)\b", README))))
def test_every_command_of_the_readme_exists(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output


def test_every_file_that_the_readme_shows_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
