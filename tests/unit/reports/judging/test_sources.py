"""Sources: a native study through each has the same verdicts; what is not a source is refused and left as it is."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
import pytest

from reports.judging.judgement import judge_runs
from reports.judging.sources.recognise import Access, read_source
from tests.unit.reports.judging.tables import FRAME, NATIVE, assert_same_verdicts, confirmed, native_study
from tests.unit.reports.judging.writers import (
    write_optuna,
    write_ray,
    write_tensorboard,
    write_wandb,
)
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (write_ray, None),
        (write_optuna, None),
        (write_tensorboard, "{condition}/{method}/k{k}/s{seed}"),
        (write_wandb, None),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_native_study_through_a_source_has_the_same_verdicts(
    native: Path, tmp_path: Path, write: Callable[[pd.DataFrame, Path], Path], names: str | None
) -> None:
    table = read_source(write(confirmed(native), tmp_path))
    judged = judge_runs(table, replace(NATIVE, names=names), "runs")
    assert_same_verdicts(judged.verdicts, native)


def folders_without_runs(folder: Path) -> Iterator[tuple[Path, str]]:
    (folder / "empty").mkdir()
    yield folder / "empty", "has neither results of Ray Tune nor TensorBoard events"
    (folder / "events").mkdir()
    (folder / "events" / "events.out.tfevents.1").write_bytes(b"")
    yield folder / "events", "no event file in .* has a scalar"
    (folder / "wandb" / "offline-run-1").mkdir(parents=True)
    (folder / "wandb" / "offline-run-1" / "run-1.wandb").write_bytes(b":W&B")
    yield folder / "wandb", "`wandb sync`"
    (folder / "ray").mkdir()
    (folder / "ray" / "result.json").write_text("")
    yield folder / "ray", r"no trial in .* has a result: 1 trial without results\."
    with closing(sqlite3.connect(folder / "other.db")) as database, database:
        database.execute("CREATE TABLE mine (a)")
    yield folder / "other.db", "is neither an MLflow nor an Optuna database"
    (folder / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    yield folder / "broken.db", r"broken\.db cannot be read"
    yield native_study(folder / "native"), "use `assay report"
    yield folder / "native" / "study.db", "use `assay report"


def test_folders_without_runs_are_refused(tmp_path: Path) -> None:
    for path, message in folders_without_runs(tmp_path):
        with pytest.raises(InputError, match=message):
            read_source(path)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://me:secret@host/x", "ftp://host/x is an address of an unknown kind"),
        ("sqlite:////nowhere/x.db", "the file /nowhere/x.db does not exist"),
        ("file:///nowhere/x", "does not exist"),
        ("mysql+nodriver://me:secret@host/x", "the Optuna storage mysql.nodriver://host/x cannot be read"),
    ],
)
def test_addresses_without_runs_are_refused(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_source(address)


def test_sources_import_neither_ray_nor_tensorflow_nor_keras(native: Path, tmp_path: Path) -> None:
    runs = confirmed(native).head(4)
    places = [writer(runs, tmp_path / writer.__name__) for writer in (write_ray, write_tensorboard)]
    script = (
        "import sys\nfrom reports.judging.sources.recognise import Access, read_source\n"
        f"for place in {[str(place) for place in places]}: read_source(place)\n"
        "print(sorted({'ray', 'tensorflow', 'keras', 'mlflow', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("access", [Access(experiment="one"), Access(where="tags.split = 'test'")])
def test_options_of_mlflow_are_refused_for_other_sources(access: Access, tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "runs.csv", index=False)
    optuna.create_study(storage=f"sqlite:///{tmp_path}/optuna.db")
    for source in (FRAME, tmp_path / "runs.csv", tmp_path / "optuna.db"):
        with pytest.raises(InputError, match="is not an MLflow store, so the option does not apply; leave it out"):
            read_source(source, access)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runs.csv")
    with pytest.raises(InputError, match="is neither a file nor a folder"):
        read_source(tmp_path / "runs.csv")


@pytest.mark.timeout(20)
def test_only_regular_files_of_a_folder_are_read(tmp_path: Path) -> None:
    for name in ("result.json", "events.out.tfevents.1"):
        folder = tmp_path / name
        (folder / "pipe").mkdir(parents=True)
        os.mkfifo(folder / "pipe" / name)
        (folder / "link").mkdir()
        (folder / "link" / name).symlink_to("nowhere")
        with pytest.raises(InputError, match=r"TensorBoard events\. 2 files of results or events that cannot be read"):
            read_source(folder)
    (tmp_path / "result.json" / "run").mkdir()
    (tmp_path / "result.json" / "run" / "result.json").write_text('{"test_accuracy": 0.5, "config": {"a": 1}}\n')
    os.mkfifo(tmp_path / "result.json" / "run" / "params.json")
    table = read_source(tmp_path / "result.json")
    assert table.frame["config/a"].tolist() == [1]
    assert table.notes == ("2 files of results or events that cannot be read: pipes or broken links.",)


@pytest.mark.parametrize("description", [None, "name: mine\n"])
def test_a_folder_that_is_no_mlflow_store_is_refused_without_writing_into_it(
    tmp_path: Path, description: str | None
) -> None:
    if description is not None:
        (tmp_path / "0").mkdir()
        (tmp_path / "0" / "meta.yaml").write_text(description)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        InputError, match=r"--experiment one: .* is not an MLflow store.* meta\.yaml in a folder for every"
    ):
        read_source(tmp_path, Access(experiment="one"))
    with pytest.raises(InputError, match="has neither results of Ray Tune nor TensorBoard events"):
        read_source(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_characters_of_an_address_may_be_percent_encoded(tmp_path: Path) -> None:
    path = tmp_path / "50 % of #runs.csv"
    FRAME.to_csv(path, index=False)
    for address in (path.as_uri(), f"file://{path}"):
        assert len(read_source(address).frame) == len(FRAME)
    optuna.create_study(storage=f"sqlite:///{tmp_path}/a#b.db")
    for name in ("a#b.db", "a%23b.db"):
        with pytest.raises(InputError, match="has no completed trial"):
            read_source(f"sqlite:///{tmp_path}/{name}")
