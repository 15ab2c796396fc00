"""Code that a file names runs only if the user allows it, and never code of Python, Assay or other packages."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from trainables.data import SOURCES
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.registration import plugins
from trainables.registration.plugins import allow_code, allowed_code, code_allowed, load_reference

OWN = """
import functools, os, subprocess
import numpy as np
from pathlib import Path
from subprocess import run
from trainables.methods import Mixing
Path("imported").touch()
def load(**options): return {}
bound = functools.partial(load, size=8)
shell = functools.partial(os.system, "touch PWNED")
class Mine(Mixing): pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_code_here.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_code_here", raising=False)
    return tmp_path


@pytest.mark.parametrize("reference", ["own_code_here:load", "os:system", "numpy:load", "trainables.data:Npz"])
def test_nothing_is_imported_without_permission(own: Path, reference: str) -> None:
    for use in (
        lambda: load_reference(reference, "model"),
        lambda: METHODS.get(reference),
        lambda: METHODS.get(f"maxup+{reference}"),
        lambda: SOURCES.get(reference).model_validate({"source": reference, "path": str(own)}).load(),
    ):
        with pytest.raises(InputError, match="--allow-code"):
            use()
    assert not (own / "imported").exists()


@pytest.mark.parametrize(
    "reference",
    [
        "os:system", "posix:system", "subprocess:run", "subprocess:Popen", "builtins:exec", "builtins:eval",
        "importlib:import_module", "runpy:run_path", "shutil:rmtree", "os.path:os.system", "_posixsubprocess:fork_exec",
        "ctypes:CDLL", "pickle:loads", "code:interact", "pty:spawn", "__main__:main",
        "numpy:load", "pandas:read_pickle", "pandas.io.common:os.system", "yaml:unsafe_load", "ray:init",
        "keras.saving:load_model", "mlflow.utils.process:_exec_cmd", "pytest:main", "pip:main",
        "search.cli:main", "trainables.records.atomic:write_atomically", "trainables.data.cache:shutil.rmtree",
        "reports.page.writer:write_atomically", "spaces:os",
        "own_code_here:os.system", "own_code_here:run", "own_code_here:subprocess.run", "own_code_here:shell",
        "own_code_here:np.load", "own_code_here:Mixing", "own_code_here:Path", "own_code_here:load.__globals__",
        "own_code_here:load.__class__", "own_code_here:__builtins__", "own_code_here:functools.os",
    ],
)  # fmt: skip
def test_code_of_others_is_refused_even_with_permission(own: Path, reference: str) -> None:
    with code_allowed(), pytest.raises(InputError, match=r"is refused|has no|cannot be imported"):
        load_reference(reference, "data source")
    assert not (own / "PWNED").exists()


@pytest.mark.parametrize("name", ["load", "bound", "Mine"])
def test_own_code_runs_with_permission(own: Path, name: str) -> None:
    with code_allowed():
        assert load_reference(f"own_code_here:{name}", "data source")
    assert (own / "imported").exists()


def test_permission_for_one_reference_allows_no_other(own: Path) -> None:
    with code_allowed(False):
        allow_code("own_code_here:load")
        assert allowed_code() == ("own_code_here:load",)
        assert load_reference("own_code_here:load", "data source")
        for other in ("own_code_here:bound", "own_code_here:Mine", "own_code_here :load"):
            with pytest.raises(InputError, match="--allow-code"):
                load_reference(other, "data source")
    assert not allowed_code()


@pytest.mark.parametrize("name", ["own_code_here:Mine", "maxup+own_code_here:Mine"])
def test_a_method_that_was_allowed_before_is_refused_again(own: Path, name: str) -> None:
    with code_allowed():
        METHODS.get(name)
    with pytest.raises(InputError, match="--allow-code"):
        METHODS.get(name)


def test_an_installed_package_declares_what_may_be_called(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "lib" / "site-packages"
    place.mkdir(parents=True)
    (place / "their_package_here.py").write_text("def load(): return {}\ndef other(): return {}\n")
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(plugins, "_declared", lambda: {"their_package_here:load"})
    with code_allowed():
        assert load_reference("their_package_here:load", "data source")
        with pytest.raises(InputError, match="does not declare it"):
            load_reference("their_package_here:other", "data source")


def test_entry_points_need_no_permission(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "own_code_here:load", "assay.data")
    monkeypatch.setattr(plugins, "installed", lambda group: {"theirs": point})
    assert plugins.load_installed("assay.data", "theirs")() == {}


def test_files_beside_the_data_do_not_declare_the_functions_of_other_packages(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = own / "sent" / "claimed-1.0.dist-info"
    claimed.mkdir(parents=True)
    (claimed / "METADATA").write_text("Metadata-Version: 2.1\nName: claimed\nVersion: 1.0\n")
    (claimed / "entry_points.txt").write_text("[assay.data]\nx = pandas:read_pickle\n")
    plugins._declared.cache_clear()
    source = "pandas:read_pickle"
    made = SOURCES.get(source).model_validate({"source": source, "path": str(own / "sent"), "options": {"a": 1}})
    with code_allowed(), pytest.raises(InputError, match="does not declare it"):
        made.load()
