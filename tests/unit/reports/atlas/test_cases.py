"""Published cases: accuracies of all arms, diagnostics included, and what was claimed beside what stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.atlas import cases
from reports.atlas.__main__ import ATLAS, CASES
from reports.atlas.archive import read_archive
from reports.atlas.page import write_page
from trainables.errors import InputError

STUDY = "atlas_digits_vgg11"


def test_a_case_shows_the_accuracy_of_every_arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cases, "CLAIMS", {STUDY: cases.Claim("9", "a claim", "an answer")})
    atlas = read_archive(ATLAS)
    study = atlas[STUDY]
    (case,) = cases.answers(atlas)
    assert len(case.arms) == len(study.plan.arms)
    arm = case.arms[1]
    own = study.runs[(study.runs["condition"] == arm.condition) & (study.runs["method"] == arm.method)]
    values = own.loc[own["outcome"] == "completed", study.plan.unit.metric]
    found = case.accuracy(arm.condition, arm.method)
    assert found is not None
    assert found.mean == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / len(values) ** 0.5)
    assert arm.seeds == len(values)
    assert case.accuracy(arm.condition, "no such method") is None
    for _ in range(2):  # the second replaces the first
        write_page({STUDY: study}, {STUDY: study}, tmp_path / "new")
    page = (tmp_path / "new" / "README.md").read_text("utf-8")
    assert "| 9 | a claim | an answer |" in page
    assert f"| {arm.method} | {100 * case.arms[0].accuracy.mean:.1f}" not in page
    assert f"| {case.arms[0].method} | {100 * case.arms[0].accuracy.mean:.1f} ± " in page


@pytest.mark.parametrize("name", ["README.md", "effects.png"])
def test_a_page_replaces_no_file_of_somebody_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("# My project")
    with pytest.raises(InputError, match=f"contains {name} of somebody else; choose another `--output`"):
        write_page({}, {}, tmp_path)
    assert (tmp_path / name).read_text() == "# My project"


@pytest.mark.skipif(not CASES.exists(), reason="no study of a published case is finished")
def test_every_finished_case_has_a_claim_and_an_answer() -> None:
    studies = read_archive(CASES)
    assert studies.keys() == cases.CLAIMS.keys()
    assert all(claim.claim and claim.answer for claim in cases.CLAIMS.values())
    for case in cases.answers(studies):
        shown = {f"{100 * arm.accuracy.mean:.1f}" for arm in case.arms}
        effects = [verdict.tuned for verdict in case.verdicts] + [change.decision.estimate for change in case.changes]
        known = [effect for effect in effects if effect]
        bounds = [bound for effect in known if (span := effect.interval) for bound in (span.low, span.high)]
        shown |= {f"{100 * abs(figure):.1f}" for figure in [*bounds, *(effect.mean for effect in known)]}
        assert set(re.findall(r"\d+\.\d", case.answer)) <= shown, case.study
