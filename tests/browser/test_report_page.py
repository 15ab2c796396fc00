"""The report in a browser: figures, SVG download, sorting, filters, phone width, dark mode, printing, hostile names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reports.page.writer import write_report
from tests.support.chromium import CHROMIUM, FLAGS, HOSTILE, Visitor
from tests.support.journal_builder import JournalBuilder, make_plan, simulate_study

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = simulate_study(tmp_path_factory.mktemp("study"), effects={"mixup": 0.05, "maxup": -0.05})
    return write_report(folder).html


def test_all_figures_are_drawn_without_console_messages(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "return document.querySelectorAll('.figure').length"
        " - [...document.querySelectorAll('.figure')].filter((one) => one.querySelector('svg.main-svg')).length",
    )
    assert found.result == 0
    assert found.console == []


def test_the_toolbar_of_every_figure_saves_it_as_svg(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "const figures = [...document.querySelectorAll('.figure')].filter((one) => one.offsetParent !== null);"
        "const names = []; HTMLAnchorElement.prototype.click = function () { names.push(this.download); };"
        "const blobs = []; URL.createObjectURL = (blob) => { blobs.push(blob); return 'blob:'; };"
        "for (const figure of figures) {"
        " const buttons = [...figure.querySelectorAll('.modebar-btn')];"
        " if (buttons.length !== 1) throw new Error(figure.id + ' has ' + buttons.length + ' buttons');"
        " buttons[0].dispatchEvent(new MouseEvent('click', { bubbles: true })); await wait(100); }"
        "await wait(1000); const texts = await Promise.all(blobs.map((blob) => blob.text()));"
        "const parsed = texts.map((text) => new DOMParser().parseFromString(text, 'image/svg+xml'));"
        "return [figures.map((one) => one.id + '.svg'), names, blobs.map((blob) => blob.type),"
        " parsed.map((one) => one.documentElement.nodeName), texts.filter((text) => text.includes('NaN')).length]",
    )
    expected, names, types, roots, undefined_numbers = found.result
    assert len(expected) > 10
    assert names == expected
    assert all(kind.startswith("image/svg+xml") for kind in types)
    assert set(roots) == {"svg"}
    assert undefined_numbers == 0
    assert found.console == []


def test_hostile_names_are_shown_as_text_and_do_not_run(visit: Visitor, tmp_path: Path) -> None:
    conditions = {'"><img src=x onerror=fail()>': {"model": "<u>m</u>", "train_fraction": 0.1}}
    folder = simulate_study(
        tmp_path / "study", plan=make_plan(conditions, HOSTILE, name="<h1>&amp;</title>"), search=False, images=60
    )
    found = visit(
        write_report(folder).html,
        "return [document.title, document.images.length,"
        " document.querySelectorAll('main script:not([type])').length,"
        " document.querySelector('.js-plotly-plot').textContent, document.querySelector('h1').textContent]",
    )
    title, images, scripts, plot, heading = found.result
    assert title == "<h1>&amp;</title> · Assay report"
    assert heading == "<h1>&amp;</title>"
    assert (images, scripts) == (0, 0)
    assert "</script><!--" in plot
    assert "<b>'\"&" in plot
    assert found.console == []


def test_a_click_on_a_heading_sorts_and_a_second_click_reverses_the_order(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "const rows = () => [...document.querySelectorAll('#verdicts tbody tr')];"
        "const heads = document.querySelectorAll('#verdicts thead th'); const effect = heads[4];"
        "const values = () => rows().map((row) => Number(row.cells[4].dataset.value));"
        "effect.querySelector('button').click(); const up = values(), first = effect.getAttribute('aria-sort');"
        "effect.querySelector('button').click(); const down = values();"
        "heads[1].querySelector('button').click();"
        "const names = rows().map((row) => row.cells[1].textContent.trim());"
        "return [up, first, down, names, effect.getAttribute('aria-sort')];",
    )
    up, first, down, names, afterwards = found.result
    assert len(up) == 10
    assert up == sorted(up)
    assert first == "ascending"
    assert down == sorted(up, reverse=True)
    assert names == sorted(names)
    assert afterwards is None


def test_filters_hide_other_conditions_and_methods_in_all_sections(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "const visible = (selector) => [...document.querySelectorAll(selector)]"
        ".filter((one) => one.offsetParent !== null).length;"
        "document.querySelectorAll('details').forEach((one) => { one.open = true; });"
        "const counts = () => [visible('#verdicts tbody tr'), visible('.claims li'), visible('#effects .block'),"
        " visible('#curves .panel'), visible('#all-runs tbody tr'), visible('#cost tbody tr')];"
        "const choose = (name, value) => { const list = document.getElementById(`filter-${name}`);"
        " list.value = value; list.dispatchEvent(new Event('change')); };"
        "const all = counts(); choose('condition', 'resnet8-0.2'); const one = counts();"
        "choose('method', 'maxup'); const both = counts(), words = document.getElementById('filter-count').textContent;"
        "choose('condition', ''); choose('method', ''); return [all, one, both, words, counts()];",
    )
    everything, condition, both, words, again = found.result
    assert everything == again == [10, 10, 2, 10, 160, 10]
    assert condition == [5, 5, 1, 5, 80, 5]
    assert both == [2, 2, 1, 1, 16, 1]
    assert words == "2 of 10 claims shown"


def test_the_list_of_runs_sorts_numerically_and_collapsed_tables_have_rows(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "document.querySelectorAll('details').forEach((one) => { one.open = true; }); await wait(300);"
        "const head = document.querySelectorAll('#all-runs thead th')[9]; head.querySelector('button').click();"
        "const values = [...document.querySelectorAll('#all-runs tbody tr')].map((row) => row.cells[9].textContent);"
        "return [values, [...document.querySelectorAll('main table')].map((one) => one.rows.length),"
        " new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size,"
        " document.querySelectorAll('[id]').length];",
    )
    values, rows, names, elements = found.result
    numbers = [float(value) for value in values if value]
    assert len(numbers) == 120
    assert numbers == sorted(numbers)
    assert all(value == "" for value in values[120:])  # empty cells last
    assert min(rows) >= 2
    assert names == elements
    assert found.console == []


def test_the_verdict_stays_visible_on_a_phone_beside_any_figure(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "const box = document.querySelector('#verdicts').closest('.scroll');"
        "const places = []; for (const left of [0, 150, box.scrollWidth]) { box.scrollLeft = left;"
        " const cell = document.querySelector('#verdicts tbody td:nth-child(4)').getBoundingClientRect();"
        " places.push([Math.round(cell.left), Math.round(cell.right)]); }"
        "return [innerWidth, box.scrollWidth, places];",
        width=390,
    )
    width, content, places = found.result
    assert content > 1.5 * width  # it scrolls
    assert all(0 <= left < right <= width for left, right in places)


def test_the_page_fits_a_phone_without_horizontal_scrolling(visit: Visitor, page: Path) -> None:
    found = visit(
        page,
        "return [innerWidth, document.documentElement.scrollWidth,"
        " Math.max(...[...document.querySelectorAll('.figure svg.main-svg')].map((one) => one.clientWidth))]",
        width=390,
    )
    inner, scroll, widest = found.result
    assert inner == 390
    assert scroll <= inner
    assert 300 < widest <= 358
    assert found.console == []


@pytest.mark.parametrize(("scheme", "background"), [(0, "rgb(20, 23, 27)"), (1, "rgb(255, 255, 255)")])
def test_page_and_figures_follow_light_and_dark_mode(visit: Visitor, page: Path, scheme: int, background: str) -> None:
    found = visit(
        page,
        "return [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
        " getComputedStyle(document.querySelector('.figure .xtick text')).fill]",
        f"--blink-settings=preferredColorScheme={scheme}",
    )
    paper, ink, ticks = found.result
    assert paper == background
    assert ticks == ink


def test_the_page_of_an_empty_study_raises_no_error(visit: Visitor, tmp_path: Path) -> None:
    with JournalBuilder(tmp_path / "study"):
        pass
    found = visit(
        write_report(tmp_path / "study").html, "return document.querySelectorAll('#verdicts tbody tr').length"
    )
    assert found.result == 10
    assert found.console == []


def test_the_page_can_be_printed(page: Path, tmp_path: Path) -> None:
    target = tmp_path / "page.pdf"
    subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={target}", page.as_uri()],
        capture_output=True, timeout=90, check=True,
    )  # fmt: skip
    assert target.read_bytes()[:5] == b"%PDF-"
