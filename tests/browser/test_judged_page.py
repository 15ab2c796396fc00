"""The report of judged runs in a browser: all figures are drawn, hostile names stay text, nothing is logged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reports import judge
from tests.support.chromium import CHROMIUM, HOSTILE, Visitor
from tests.unit.reports.judging.tables import runs_frame

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing"),
]


@pytest.mark.parametrize("paired", [True, False])
def test_the_page_of_judged_runs_is_drawn(visit: Visitor, tmp_path: Path, paired: bool) -> None:
    runs = runs_frame({name: 0.01 * number for number, name in enumerate(HOSTILE)}, seeds=4)
    epochs = [runs.assign(epoch=epoch, test_accuracy=runs["test_accuracy"] - 0.1 / epoch) for epoch in range(1, 6)]
    frame = pd.concat([pd.concat(epochs).assign(**{"<b>data</b>": data}) for data in ("<i>a</i>", "b")])
    result = judge(
        frame, arm="method", seed="seed", pair=() if paired else "none", metric="test_accuracy",
        condition="<b>data</b>", epoch="epoch", name="<script>1</script>",
    )  # fmt: skip
    found = visit(
        result.write(tmp_path / "report").html,
        "return [document.querySelectorAll('.figure').length,"
        " [...document.querySelectorAll('.figure')].filter((one) => one.querySelector('svg.main-svg')).length,"
        " document.title, document.querySelectorAll('section').length]",
    )
    figures, drawn, title, sections = found.result
    assert figures == drawn == len(result.figures)
    assert title.startswith("<script>1</script>")
    assert sections == (6 if paired else 5)
    assert found.console == []
