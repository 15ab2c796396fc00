"""Tests of the provenance of a study: git commits of working folders."""

import os
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


def use_monitor(folder, program):
    git(folder, "config", "core.fsmonitor", program)


def use_filter(folder, program, name="a=b.c", key="clean"):
    git(folder, "config", f"filter.{name}.{key}", f"{program}; cat")
    git(folder, "config", f"filter.{name}.required", "true")
    (folder / ".git" / "info" / "attributes").write_text(f"* filter={name}\n")
    os.utime(folder / "code.py", (0, 0))  # git reads the content again


def use_process(folder, program):
    use_filter(folder, program, "lfs", "process")


def use_hook(folder, program):
    (folder / ".git" / "hooks").mkdir(exist_ok=True)
    (folder / ".git" / "hooks" / "post-index-change").symlink_to(program)
    os.utime(folder / "code.py", (0, 0))


def use_transport(folder, program):
    """Make a partial clone whose missing objects come through a program."""
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "extensions.partialClone", "origin")
    git(folder, "config", "remote.origin.url", "ssh://host/path")
    git(folder, "config", "remote.origin.promisor", "true")
    git(folder, "config", "core.sshCommand", program)
    git(folder, "config", "protocol.ssh.allow", "always")
    tree = git(folder, "rev-parse", "HEAD^{tree}")
    (folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()


@pytest.mark.parametrize("use", [use_monitor, use_filter, use_process, use_hook, use_transport])
def test_a_repository_cannot_run_programs_of_its_own(tmp_path, use):
    repository = tmp_path / "repository"
    repository.mkdir()
    commit = committed(repository)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    use(repository, str(program))
    expected = None if use is use_transport else {"commit": commit, "changed": False}
    assert working_commit(repository) == expected
    assert not (tmp_path / "ran").exists()
    subprocess.run(["git", "-C", repository, "status"], capture_output=True, check=False)
    assert (tmp_path / "ran").exists()  # the trap works


def test_settings_in_variables_stay(tmp_path, monkeypatch):
    commit = committed(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert working_commit(tmp_path) == {"commit": commit, "changed": False}


@pytest.mark.parametrize("repository", [False, True])
def test_a_machine_without_git_has_no_commit(tmp_path, monkeypatch, repository):
    if repository:
        committed(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert working_commit(tmp_path) is None
