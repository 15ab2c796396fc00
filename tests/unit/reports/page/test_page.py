"""Written reports: files, consistent values in all formats, hostile names, and studies in every state."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from reports.inference.wording import verdict_table
from reports.page.view import View, build_view
from reports.page.writer import ReportPaths, render_html, write_report
from tests.support.journal_builder import JournalBuilder, make_plan, simulate_study
from trainables import records
from trainables.errors import InputError

HOSTILE = ("baseline", '<script>alert("x")</script>', "</script><!--", "a|b`*[x](y)", "🦊" * 80, "%{x}<b>'\"&")


def view_of(folder: Path) -> View:
    study = read_study(folder)
    return build_view(study, judge(study))


def text_of(page: str) -> str:
    """Return the visible text of a page, without scripts and styles."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", bare)).split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_study(tmp_path_factory.mktemp("finished"), effects={"mixup": 0.04})


@pytest.fixture(scope="module")
def report(finished: Path) -> ReportPaths:
    return write_report(finished)


def test_files_are_written_to_the_study_folder_or_to_a_given_folder(
    finished: Path, report: ReportPaths, tmp_path: Path
) -> None:
    assert report.folder == finished / records.REPORT
    names = {"index.html", "report.md", "report.json", *(f"{name}.csv" for name in report.tables)}
    assert {path.name for path in report.folder.iterdir()} == names
    assert {"verdicts", "runs", "curves", "tuning", "cost", "quality", "classes", "arms"} <= set(report.tables)
    elsewhere = write_report(finished, tmp_path / "a" / "b")
    assert {path.name for path in elsewhere.folder.iterdir()} == names
    assert elsewhere.html.read_bytes() == report.html.read_bytes()


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"test": "extended"}, "A second interval also includes the sampling of test images."),
        ({"metric": "validation_macro_f1"}, "This cannot be answered for test macro f1"),
    ],
)
def test_a_study_without_confirmation_runs_is_reported_whatever_it_is_judged_on(
    tmp_path: Path, change: dict[str, str], answer: str
) -> None:
    with JournalBuilder(tmp_path, {**make_plan(), **change}) as journal:
        journal.run(journal.plan["conditions"][0]["name"], "mixup", phase=records.SEARCH)
    page = text_of(write_report(tmp_path).html.read_text(encoding="utf-8"))
    assert answer in page


def test_page_markdown_and_csv_contain_the_same_values(finished: Path, report: ReportPaths) -> None:
    verdicts = judge(read_study(finished))
    page, markdown = text_of(report.html.read_text()), report.markdown.read_text()
    table = pd.read_csv(report.tables["verdicts"])
    assert len(table) == len(verdicts) == 10
    for row, (_, record), verdict in zip(verdict_table(verdicts), table.iterrows(), verdicts, strict=True):
        assert verdict.tuned is not None
        assert record["tuned_effect"] == pytest.approx(100 * verdict.tuned.mean)
        assert f"{row.verdict}; {row.effect} points, 95 % interval {row.interval}, 6 seeds." in page
        assert f"| {row.effect} | {row.interval} | {row.matched} |" in markdown


def test_a_caveat_of_all_claims_is_stated_once_and_others_with_their_claims(finished: Path) -> None:
    study = read_study(finished)
    verdicts = [replace(verdict, notes=("Of all.", f"Of {place}.")) for place, verdict in enumerate(judge(study))]
    view = build_view(study, verdicts)
    assert view.common_notes == ("Of all.",)
    assert [claim.notes for claim in view.claims] == [(f"Of {place}.",) for place in range(10)]
    page = text_of(render_html(view))
    assert [page.count(note) for note in ("All claims: Of all.", "Of all.", "Of 3.")] == [1, 1, 1]
    alone = build_view(study, verdicts[:1])
    assert (alone.common_notes, alone.claims[0].notes) == ((), ("Of all.", "Of 0."))


def test_the_page_begins_with_the_results(report: ReportPaths) -> None:
    page = text_of(report.html.read_text())
    start = page.index("mixup on resnet8 with 10 % of the data: ▲ helps;")
    assert start < page.index("Question") < page.index("Click a heading") < page.rindex("Experimental setup")


def test_the_page_is_self_contained(report: ReportPaths) -> None:
    page = report.html.read_text()

    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value or "" for name, value in attrs if name in ("src", "href")]

    links = Links()
    links.feed(page)
    anchors = [link for link in links.found if link.startswith("#")]
    files = [link for link in links.found if link not in anchors]
    assert all(f'id="{anchor[1:]}"' in page for anchor in anchors)
    assert files == ["data:,", "report.md", "report.json", *(f"{name}.csv" for name in report.tables)]
    assert page.count("plotly.js v") == 1
    assert len(page) < 6_000_000


def test_the_setup_lists_settings_versions_and_data(report: ReportPaths) -> None:
    page = text_of(report.html.read_text())
    for words in ("learning_rate", "0.05", "5f1c5f1c", "3.15.0", "three", "data.test_images360"):
        assert words in page


def test_runs_csv_contains_every_run_with_its_parameters(report: ReportPaths) -> None:
    table = pd.read_csv(report.tables["runs"])
    assert len(table) == 2 * 5 * (4 + 12)
    assert set(table["parameters.learning_rate"]) == {0.1}
    assert table.loc[table["phase"] == records.CONFIRM, records.TEST_ACCURACY].notna().all()


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    evil = '<img src=x onerror="alert(1)">'
    conditions = {evil: {"model": evil}, "c'2\"</script>": {"train_fraction": 0.1, "data": {"source": "<i>"}}}
    simulate_study(
        tmp_path, plan=make_plan(conditions, HOSTILE, name=evil), failing=[HOSTILE[2]], search=False, images=50
    )
    paths = write_report(tmp_path)
    page = paths.html.read_text()
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    seen = text_of(page)
    for name in HOSTILE:
        assert name in seen
    figures = re.findall(r'<script type="application/json" data-for="([^"]+)">(.*?)</script>', page, re.DOTALL)
    assert len(figures) == len(view_of(tmp_path).pictures) > 2 + 2 * 5
    for _, content in figures:
        assert "<" not in content
        assert json.loads(content)["data"]
    markdown = paths.markdown.read_text()
    assert "<" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {re.sub(r"\\.", "", row).count("|") for row in rows} <= {3, 4, 6, 8, 10, 11}
    assert set(pd.read_csv(paths.tables["runs"])["method"]) == set(HOSTILE)


def test_the_page_of_an_unfinished_study_lists_missing_runs(tmp_path: Path) -> None:
    simulate_study(tmp_path, seeds=3, effects={"mixup": 0.06})
    view = view_of(tmp_path)
    assert view.missing == ("60 of 120 confirmation runs have ended.",)
    page = text_of(render_html(view))
    assert "60 of 120 confirmation runs have ended." in page
    assert "Seeds completed so far: 3 of 6;" in page


def test_an_empty_study_has_a_page(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path):
        pass
    page = text_of(write_report(tmp_path).html.read_text())
    assert "10 claims: no answer in 10." in page
    assert "0 of 40 search runs have ended." in page
    assert "No learning curves yet." in page


def test_a_study_without_contrasts_has_a_page(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path, make_plan(methods=("baseline",))):
        pass
    paths = write_report(tmp_path)
    assert "The study makes no claims" in text_of(paths.html.read_text())
    assert "makes no claims" in paths.markdown.read_text()


def test_a_single_run_has_a_curve_and_no_verdict(tmp_path: Path) -> None:
    plan = make_plan(seeds=1, points=1, trials_per_arm=0)
    with JournalBuilder(tmp_path, plan) as journal:
        run = journal.run("resnet8-0.1", "mixup")
        journal.report(run, 1, dict.fromkeys(records.EPOCH_METRICS, 0.5))
        journal.end(run, selection=0.5, test=0.5)
    view = view_of(tmp_path)
    assert [len(block.panels) for block in view.section("curves").blocks] == [1]
    assert all(claim.label == "no answer yet" for claim in view.claims)
    assert "Nothing was tuned" in text_of(render_html(view))


def test_a_search_that_only_diverged_before_its_first_epoch_ended_has_a_page(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        run = journal.run("resnet8-0.1", "mixup", phase=records.SEARCH)
        journal.end(run, records.DIVERGED, epoch=0, selection=0.1)
    paths = write_report(tmp_path)
    (row,) = pd.read_csv(paths.tables["tuning"]).to_dict("records")
    assert (row["method"], row["plug_in"]) == ("mixup", 0.1)
    assert pd.isna(row["plain_epochs"])
    assert "tuning-1-1" in paths.html.read_text()


def test_failed_arms_are_listed_with_their_reasons(tmp_path: Path) -> None:
    simulate_study(tmp_path, failing=["mixup"])
    view = view_of(tmp_path)
    failed = [arm for arm in view.section("trust").content.arms if arm.summary.confirm.failed]
    assert [arm.summary.confirm.failed for arm in failed] == [12, 12]
    page = text_of(render_html(view))
    assert "12 failed: ResourceExhaustedError: out of memory" in page
    assert "24 runs failed" in page


def test_the_audit_counts_would_be_stops_and_mistakes(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path) as journal:
        for k, final in enumerate((0.9, 0.8, 0.7, 0.6)):
            run = journal.run("resnet8-0.1", "mixup", phase=records.SEARCH, k=k, audit=k in (0, 3))
            journal.end(run, selection=final)
            if k in (0, 3):
                journal.decide(
                    records.RUNG, {"rung": 4, "value": 0.5, "cutoff": 0.6, "action": records.WOULD_STOP}, run
                )
                journal.decide(
                    records.RUNG, {"rung": 8, "value": 0.5, "cutoff": 0.6, "action": records.WOULD_STOP}, run
                )
    view = view_of(tmp_path)
    audit = next(arm.audit for arm in view.section("trust").content.arms if arm.summary.arm.name == "mixup/resnet8-0.1")
    assert (audit.audited, audit.would_stop, audit.mistakes) == (2, 2, 1)
    assert any(
        "would have stopped 2 of them. At least 10 such stops" in question.answer
        for question in view.section("questions").content
    )


def test_undecided_claims_are_collapsed_if_there_are_many(tmp_path: Path) -> None:
    conditions = {f"c{number}": {"train_fraction": number / 10} for number in range(1, 8)}
    plan = make_plan(conditions, ("baseline", "mixup", "cutmix"))
    with JournalBuilder(tmp_path, plan):
        pass
    assert "7 undecided" in text_of(render_html(view_of(tmp_path)))


def test_a_report_that_cannot_be_written_raises_and_leaves_no_partial_files(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="--output"):
        write_report(finished, tmp_path / "taken")
    written = write_report(finished, tmp_path / "out")
    written.markdown.unlink()
    written.markdown.mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_report(finished, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*.part"))


def test_an_old_report_is_replaced(finished: Path, tmp_path: Path) -> None:
    written = write_report(finished, tmp_path)
    written.markdown.write_text("old")
    written.json.unlink()
    assert write_report(finished, tmp_path).markdown.read_text().startswith("# quickstart")
    assert written.json.is_file()


@pytest.mark.parametrize("name", ["index.html", "report.md", "report.json", "runs.csv"])
def test_files_that_no_report_wrote_are_never_replaced(finished: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<title>My site</title>")
    with pytest.raises(InputError, match=f"contains {name}, which .* choose another `--output`"):
        write_report(finished, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "<title>My site</title>"}


def test_a_report_is_not_written_among_the_files_of_a_study(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "study.db").touch()
    with pytest.raises(InputError, match="is the folder of a study or a final training; choose another"):
        write_report(finished, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_csv_files_of_an_empty_study_are_readable(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path):
        pass
    paths = write_report(tmp_path)
    assert pd.read_csv(io.StringIO(paths.tables["runs"].read_text())).empty
    assert len(pd.read_csv(paths.tables["verdicts"])) == 10
