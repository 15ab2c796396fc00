"""Fixture: visits to pages in headless Chromium."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.chromium import CHROMIUM, DRAWN, FLAGS, Visit, Visitor


@pytest.fixture
def visit(tmp_path: Path) -> Visitor:
    """Return a function that opens a page, runs a probe (the body of an async function) in it and returns a `Visit`."""

    def run(page: Path, probe: str = "", *flags: str, width: int | None = None) -> Visit:
        script = (
            "<script>addEventListener('load', async () => {"
            f"const wait = (ms) => new Promise((done) => setTimeout(done, ms)); {DRAWN}"
            f"const result = await (async () => {{ {probe} }})();"
            "const shown = document.createElement('pre'); shown.id = 'probe';"
            "shown.textContent = JSON.stringify(result ?? null); document.body.append(shown);"
            "parent.postMessage(shown.textContent, '*'); });</script>"
        )
        probed = tmp_path / "probed.html"
        probed.write_text(page.read_text("utf-8").replace("</body>", f"{script}</body>"), "utf-8")
        target = probed if width is None else framed(probed, width)
        done = subprocess.run(
            [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", target.as_uri()],
            capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
        found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, f"the probe did not finish: {done.stderr[-2000:]}"
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return Visit(done.stdout, console, json.loads(html.unescape(found.group(1))))

    def framed(page: Path, width: int) -> Path:
        """Return a page that shows another one in a frame: Chromium's window is at least 500 pixels wide."""
        outer = page.with_name("frame.html")
        outer.write_text(
            f'<iframe src="{page.as_uri()}" style="width:{width}px;height:2000px;border:0"></iframe><script>'
            "addEventListener('message', (event) => { const shown = document.createElement('pre');"
            "shown.id = 'probe'; shown.textContent = event.data; document.body.append(shown); });</script>"
        )
        return outer

    return run
