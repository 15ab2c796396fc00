"""What the tests of judging share: a native study."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.reports.judging.tables import native_study


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native_study(tmp_path_factory.mktemp("native"))
