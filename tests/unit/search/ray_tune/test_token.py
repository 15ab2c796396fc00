"""Ray's token, with which any user of the machine could run code as this one, is readable by its owner only."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.ray_tune.launcher import hide_token


def test_the_token_is_readable_by_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hide_token()  # there is none yet
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("x")
    token.chmod(0o644)
    hide_token()
    assert token.stat().st_mode & 0o777 == 0o600
