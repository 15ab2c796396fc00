"""Tests of the provenance of a study: git commits of working folders."""

import subprocess

import pytest

from search.store.provenance import working_commit


def git(folder, *arguments):
    who = ["-c", "user.name=me", "-c", "user.email=me@host", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_the_working_folder(tmp_path):
    assert working_commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert working_commit(tmp_path) is None
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    (tmp_path / "notes").write_text("not of the repository")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert working_commit(tmp_path) == {"commit": commit, "changed": False}
    (tmp_path / "code.py").write_text("2")
    assert working_commit(tmp_path) == {"commit": commit, "changed": True}


def committed(folder):
    """Make a repository with one commit; return the commit."""
    git(folder, "init", "--quiet")
    (folder / "code.py").write_text("1")
    git(folder, "add", "code.py")
    git(folder, "commit", "--quiet", "--message", "one")
    return git(folder, "rev-parse", "HEAD")


def test_a_subfolder_has_the_commit_of_its_repository(tmp_path):
    commit = committed(tmp_path)
    (tmp_path / "runs").mkdir()
    assert working_commit(tmp_path / "runs") == {"commit": commit, "changed": False}


def test_a_bare_repository_has_a_commit_and_no_changes(tmp_path):
    (tmp_path / "one").mkdir()
    commit = committed(tmp_path / "one")
    git(tmp_path, "clone", "--quiet", "--bare", "one", "bare")
    assert working_commit(tmp_path / "bare") == {"commit": commit, "changed": False}


def test_a_repository_that_git_refuses_to_read_has_no_commit(tmp_path, monkeypatch):
    committed(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert working_commit(tmp_path) is None


def test_a_repository_cannot_run_programs_of_its_own(tmp_path):
    commit = committed(tmp_path)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(program))
    assert working_commit(tmp_path) == {"commit": commit, "changed": False}
    assert not (tmp_path / "ran").exists()
    git(tmp_path, "status")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("repository", [False, True])
def test_a_machine_without_git_has_no_commit(tmp_path, monkeypatch, repository):
    if repository:
        committed(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert working_commit(tmp_path) is None
