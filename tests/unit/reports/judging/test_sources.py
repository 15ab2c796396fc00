"""Sources: a native study through each has the same verdicts; damaged and unfinished runs are left out or refused."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import SummaryMetadata
from tensorboardX.record_writer import masked_crc32c

from reports.data.frames import read_study
from reports.judging.judgement import judge_runs
from reports.judging.question import Question
from reports.judging.sources import checksum
from reports.judging.sources.recognise import Access, read_source
from reports.judging.values import with_named_columns
from reports.page.writer import runs_table
from tests.unit.reports.judging.tables import NATIVE, Refusal, assert_same_verdicts, native_study, runs_frame
from trainables.errors import InputError

CONFIG = ["condition", "method", "k", "seed"]
ASKED = Question(arm=("method",), metric="test_accuracy", seed=("seed",))
FRAME = runs_frame({"baseline": 0.0, "mixup": 0.02}, seeds=4)


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native_study(tmp_path_factory.mktemp("native"))


def confirmed(folder: Path) -> pd.DataFrame:
    """Return the confirmation runs of a native study."""
    runs = runs_table(read_study(folder))
    return runs[runs["phase"] == "confirm"].reset_index(drop=True)


def config_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CONFIG}


def write_ray(runs: pd.DataFrame, folder: Path) -> Path:
    for row in runs.itertuples():
        trial = folder / "train" / f"train_{row.Index:05d}"
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps({name: plain(value) for name, value in config_of(row).items()}))
        results = [
            {"training_iteration": epoch, "pid": 1, "config": {}, "test_accuracy": share * row.test_accuracy,
             "selection": row.selection, "timers": {"load": 0.1}}
            for epoch, share in ((1, 0.5), (2, 1.0))
        ]  # fmt: skip
        (trial / "result.json").write_text("".join(json.dumps(result) + "\n" for result in results))
    return folder


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def write_optuna(runs: pd.DataFrame, folder: Path) -> Path:
    path = folder / "optuna.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="mine", direction="maximize")
    study.add_trials([
        optuna.create_trial(
            value=row.test_accuracy,
            params={"k": row.k},
            distributions={"k": optuna.distributions.IntDistribution(0, 9)},
            user_attrs={name: plain(value) for name, value in config_of(row).items() if name != "k"}
            | {"selection": row.selection, "test_accuracy": row.test_accuracy},
        )
        for row in runs.itertuples()
    ])  # fmt: skip
    study.ask()
    return path


def write_events(path: Path, events: list[Event]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))


def frame(data: bytes) -> bytes:
    """Return data as a frame of an event file, with the checksums that tensorboardX computes."""
    size = struct.pack("<Q", len(data))
    return size + struct.pack("<I", masked_crc32c(size)) + data + struct.pack("<I", masked_crc32c(data))


def exact_event(tag: str, value: float, step: int) -> Event:
    """Return an event with a double; `add_scalar` would keep seven digits."""
    event = Event(step=step)
    entry = event.summary.value.add(tag=tag)
    entry.tensor.dtype = 2
    entry.tensor.double_val.append(value)
    return event


def write_tensorboard(runs: pd.DataFrame, folder: Path) -> Path:
    for row in runs.itertuples():
        path = folder / f"{row.condition}/{row.method}/k{row.k}/s{row.seed}" / "events.out.tfevents.1"
        tags = {"test_accuracy": row.test_accuracy, "selection": row.selection}
        write_events(path, [exact_event(tag, float(value), 1) for tag, value in tags.items()])
    return folder


def write_wandb(runs: pd.DataFrame, folder: Path) -> Path:
    rows = [
        {"name": f"run-{row.Index}", "config": str({name: plain(value) for name, value in config_of(row).items()}),
         "summary": str({"test_accuracy": row.test_accuracy, "selection": row.selection, "x": float("nan")})}
        for row in runs.itertuples()
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "project.csv")
    return folder / "project.csv"


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


def test_ray_trials_with_errors_or_without_results_are_left_out(tmp_path: Path) -> None:
    folder = write_ray(FRAME.assign(condition="c", k=0, selection=0.0), tmp_path)
    trials = sorted((folder / "train").iterdir())
    (trials[0] / "error.txt").write_text("Traceback")
    (trials[1] / "result.json").write_text("")
    with (trials[2] / "result.json").open("a") as stream:
        stream.write('{"training_iteration": 3, "test_acc')
    (trials[3] / "result.json").unlink()
    (trials[3] / "progress.csv").write_text("")
    table = read_source(folder)
    assert table.notes == (
        "1 trial that ended with an error.",
        "1 trial without results.",
        "1 trial whose result.json ends in the middle of a line, without that line.",
    )
    assert len(table.frame) == 5
    assert table.frame["config/seed"].tolist() == [2, 0, 1, 2, 3]
    assert table.frame["test_accuracy"].tolist() == FRAME["test_accuracy"][[2, 4, 5, 6, 7]].tolist()
    assert table.curves is not None
    assert table.curves.groupby("run").size().tolist() == [2] * 5


def test_a_damaged_ray_result_is_refused(tmp_path: Path) -> None:
    folder = write_ray(FRAME.head(1).assign(condition="c", k=0, selection=0.0), tmp_path)
    path = next(folder.rglob("result.json"))
    path.write_text("garbage\n" + path.read_text())
    with pytest.raises(InputError, match=r"result\.json, line 1 is not JSON"):
        read_source(folder)


def test_nan_in_a_ray_result_is_not_a_missing_value(tmp_path: Path) -> None:
    folder = write_ray(FRAME.assign(condition="c", k=0, selection=0.0), tmp_path)
    path = next(iter(sorted(folder.rglob("result.json"))))
    path.write_text('{"training_iteration": 1, "test_accuracy": NaN}\n')
    with pytest.raises(InputError, match="`test_accuracy` is not finite"):
        judge_runs(read_source(folder), ASKED, "runs")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["database", "journal"])
def test_an_optuna_storage_is_read_without_being_changed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "optuna.store"
    if kind == "database":
        storage: Any = f"sqlite:///{path}"
    else:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    for arm, direction in (("baseline", "minimize"), ("mixup", "minimize")):
        study = optuna.create_study(storage=storage, study_name=arm, direction=direction)
        for seed in range(4):
            trial = study.ask({"lr": optuna.distributions.FloatDistribution(0, 1)})
            trial.set_user_attr("seed", seed)
            trial.report(0.5, 1)
            trial.report(0.4, 2)
            study.tell(
                trial, 0.3 - 0.1 * (arm == "mixup") + 0.01 * seed + 0.001 * (trial.number % 2) * (arm == "mixup")
            )
        study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)
    before = path.read_bytes()
    table = read_source(path)
    assert path.read_bytes() == before
    assert table.directions == {"value": False}
    assert table.notes == ("2 trials pruned, failed or not ended.",)
    judged = judge_runs(table, Question(arm=("study",), metric="value", seed=("seed",)), "runs")
    assert [(one.method, one.verdict) for one in judged.verdicts] == [("mixup", "helps")]
    assert table.curves is not None
    assert table.curves["value"].tolist() == [0.5, 0.4] * 8


def test_tensorboard_runs_of_several_writers(tmp_path: Path) -> None:
    """A plain writer with restarted steps, the two folders and tensors of Keras, hyperparameters, a truncated file."""
    for row in FRAME.itertuples():
        folder = tmp_path / f"{row.method}-{row.seed}"
        with closing(SummaryWriter(str(folder), write_to_disk=True)) as writer:
            for step, share in ((0, 0.1), (1, 0.2), (1, 1.0)):
                writer.add_scalar("test_accuracy", share * row.test_accuracy, step)
            writer.add_histogram("weights", np.arange(3.0), 0)
        keras = exact_event("epoch_accuracy", 0.75, 4)
        keras.summary.value[0].tensor.Clear()
        keras.summary.value[0].tensor.dtype = 1
        keras.summary.value[0].tensor.tensor_content = struct.pack("<f", 0.75)
        write_events(folder / "validation" / "events.out.tfevents.1.v2", [keras])
    broken = tmp_path / "broken" / "events.out.tfevents.2"
    write_events(broken, [exact_event("test_accuracy", 0.5, 1), exact_event("test_accuracy", 0.6, 2)])
    broken.write_bytes(broken.read_bytes()[:-10])
    table = read_source(tmp_path)
    assert table.notes == ("The end of 1 event file, cut off or damaged.",)
    rows = table.frame.set_index("run")
    assert rows.loc["broken", "test_accuracy"] == 0.5
    assert rows.loc["mixup-1", "validation/epoch_accuracy"] == 0.75
    judged = judge_runs(table, replace(ASKED, names="{method}-{seed}"), "runs")
    expected = judge_runs(read_source(FRAME), ASKED, "runs")
    assert judged.verdicts[0].value == pytest.approx(expected.verdicts[0].value)
    assert judged.study.curves.groupby("run", observed=True).size().tolist() == [2] * 8


def test_hyperparameters_of_tensorboard_are_columns(tmp_path: Path) -> None:
    with closing(SummaryWriter(str(tmp_path / "one"), write_to_disk=True)) as writer:
        writer.add_hparams({"lr": 0.5, "method": "mixup"}, {"test_accuracy": 0.75}, name="trial")
    [row] = read_source(tmp_path).frame.to_dict("records")
    assert (row["run"], row["hparams/lr"], row["hparams/method"]) == ("one/trial", 0.5, "mixup")
    assert row["test_accuracy"] == 0.75


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


def test_unfinished_runs_of_weights_and_biases_are_left_out(tmp_path: Path) -> None:
    frame = FRAME.assign(Name="run", State=["crashed", "running", *["finished"] * 6])
    frame.to_csv(tmp_path / "wandb.csv", index=False)
    table = read_source(tmp_path / "wandb.csv")
    assert (len(table.frame), table.notes) == (6, ("2 runs whose State is not finished.",))
    frame.assign(State="TX").to_csv(tmp_path / "states.csv", index=False)
    assert len(read_source(tmp_path / "states.csv").frame) == 8


@pytest.mark.parametrize("name", ["RUNS.PARQUET", "Runs.CSV"])
def test_the_case_of_an_ending_does_not_matter(name: str, tmp_path: Path) -> None:
    write = FRAME.to_csv if name.endswith("CSV") else FRAME.to_parquet
    write(tmp_path / name, index=False)
    assert len(read_source(tmp_path / name).frame) == len(FRAME)


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


def indexed_by_seed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"seed": float}).set_index("seed")


def indexed_by_two_levels(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["method", "seed"])


def indexed_by_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="seed").rename_axis("seed").assign(method=["baseline", "mixup"] * (len(frame) // 2))


def indexed_beside_the_column(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("seed", drop=False)


@pytest.mark.parametrize(
    "change", [indexed_by_seed, indexed_by_two_levels, indexed_by_row_numbers, indexed_beside_the_column]
)
def test_levels_of_an_index_are_columns(tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = change(FRAME)
    frame.to_parquet(tmp_path / "runs.parquet")
    for source in (frame, tmp_path / "runs.parquet"):
        found = read_source(source).frame
        assert sorted(found.columns) == ["method", "seed", "test_accuracy"]
        expected = FRAME["seed"].tolist() if change is not indexed_by_row_numbers else list(range(len(FRAME)))
        assert found["seed"].tolist() == expected


def test_column_names_that_are_numbers_become_text(tmp_path: Path) -> None:
    frame = FRAME.set_axis(range(3), axis="columns")
    frame.to_parquet(tmp_path / "runs.parquet")
    for source in (frame, tmp_path / "runs.parquet"):
        asked = Question(arm=("0",), seed=("1",), metric="2", higher=True)
        [verdict] = judge_runs(read_source(source), asked, "runs").verdicts
        assert verdict.verdict == "helps"


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"sep=;\nmethod;seed\na;1\n", ["method", "seed"]),
        (b'\xef\xbb\xbf"sep=|"\r\nmethod|seed\r\na|1\r\n', ["method", "seed"]),
        (b'"loss, train";"acc, val"\n1;2\n', ["loss, train", "acc, val"]),
        (b'"loss; a; b; c","acc"\n1,2\n', ["loss; a; b; c", "acc"]),
        ("method;seed\nä;1\n".encode("utf-16"), ["method", "seed"]),
        ("\ufeffsep=\t\nmethod\tseed\nä\t1\n".encode("utf-16-be"), ["method", "seed"]),
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, content: bytes, columns: list[str]) -> None:
    for name, written in (("runs.csv", content), ("RUNS.CSV.GZ", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        found = read_source(tmp_path / name).frame
        assert (found.columns.tolist(), len(found)) == (columns, 1)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{0}/seed{1a}", "logs/mixup/seed3", ["mixup", "3"]),
        ("{a}-{b}", "runs/mixup-light-3", ["mixup", "light-3"]),
        ("{a}-{b}X", "p-qXrX", ["p", "qXr"]),
        ("run{a}_{b}", "logs/run1run2_3", ["1run2", "3"]),
        ("s/{a}", "xs/1s/2", ["2"]),
        ("{a}/{b}", "mixup", [None, None]),
        ("{a}-{b}", "mixup-", [None, None]),
    ],
)
def test_names_are_divided_at_the_first_separator(pattern: str, name: str, expected: list[str | None]) -> None:
    fields = re.findall(r"\{(\w+)\}", pattern)
    usual = "/".join(re.sub(r"\{\w+\}", "v", part) for part in pattern.split("/"))
    found = with_named_columns(pd.DataFrame({"run": [name, usual]}), pattern)
    assert [None if pd.isna(value) else value for value in found.loc[0, fields]] == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["{a}-{b}-{c}-{d}-{e}-{f}X", "x{a}-{b}-{c}y"])
def test_long_names_that_do_not_fit_take_no_time(pattern: str) -> None:
    long = pd.DataFrame({"run": ["-" * 20_000, "-x/" * 5000, "x-" * 10_000]})
    with pytest.raises(InputError, match="no run has a name of this form"):
        with_named_columns(long, pattern)


@pytest.mark.parametrize("place", [0, 9, 13, -6, -1])
def test_a_changed_bit_of_an_event_file_is_no_value(tmp_path: Path, place: int) -> None:
    """The bit is in the length, its checksum, the step, the value or its checksum of the last frame."""
    path = tmp_path / "run" / "events.out.tfevents.1"
    write_events(path, [exact_event("test_accuracy", value, step) for step, value in enumerate((0.5, 0.6), start=1)])
    content = bytearray(path.read_bytes())
    start = len(content) // 2 if place >= 0 else len(content)
    content[start + place] ^= 1
    path.write_bytes(content)
    table = read_source(tmp_path)
    assert table.frame["test_accuracy"].tolist() == [0.5]
    assert table.notes == ("The end of 1 event file, cut off or damaged.",)


def test_checksums_are_those_of_the_writer() -> None:
    sizes = np.array([0, 1, 2, 63, 64, 1023, 1024, 1025, 4097, 10_007, 0])
    starts = np.cumsum(sizes) - sizes
    content = np.random.default_rng(1).bytes(int(sizes.sum()))
    parts = [content[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    expected = [masked_crc32c(part) for part in parts]
    assert [checksum.masked_crc32c(part) for part in parts] == expected
    assert checksum.masked_crc32c_of_parts(content, starts, sizes).tolist() == expected


def test_damaged_hyperparameters_are_refused(tmp_path: Path) -> None:
    event = exact_event("_hparams_/session_start_info", 0.5, 1)
    event.summary.value[0].ClearField("tensor")
    event.summary.value[0].metadata.CopyFrom(
        SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=b"\xff"))
    )
    write_events(tmp_path / "run" / "events.out.tfevents.1", [event])
    with pytest.raises(InputError, match=r"tfevents\.1: its hyperparameters cannot be read"):
        read_source(tmp_path)


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


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%41.db"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_database_of_any_name_is_read_without_writing_beside_it(native: Path, tmp_path: Path, name: str) -> None:
    write_optuna(confirmed(native).head(3), tmp_path)
    (tmp_path / "optuna.db").rename(tmp_path / name)
    assert len(read_source(tmp_path / name).frame) == 3
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_optuna_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    optuna.create_study(storage=f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE studies RENAME COLUMN study_name TO other")
    with pytest.raises(InputError, match=r"optuna\.db cannot be read: .*no such column: studies\.study_name"):
        read_source(path)


JOURNAL = b'{"op_code": 0, "worker_id": "w", "study_name": "mine", "directions": [1]}\n'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1]", "it is not a JSON object"),
        (b"garbage", "Expecting value"),
        (b'{"op_code": 99}', "its `op_code` is not known"),
        (b'{"worker_id": "w"}', "'op_code' is missing"),
        (b'{"op_code": 4, "worker_id": "w"}', "'study_id' is missing"),
        (b'{"op_code": 0, "worker_id": "w", "study_name": "other", "directions": [7]}', "7 is not a valid"),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_odd_line_of_an_optuna_journal_is_refused(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(JOURNAL + line + b"\n")
    with pytest.raises(InputError) as error:
        read_source(path)
    Refusal(f"{path}, line 2 is not an entry of an Optuna journal", problem, "restore the file").holds_for(error)


@pytest.mark.parametrize(
    ("result", "parameters", "message"),
    [
        ("[1]", "{}", r"result\.json, line 2 is not a result of Ray Tune"),
        ('{"training_iteration": "two"}', "{}", r"result\.json, line 2: `training_iteration` must be a number"),
        ('{"training_iteration": [2]}', "{}", r"result\.json, line 2: `training_iteration` must be a number"),
        ('{"training_iteration": 2}', "[1]", r"the configuration of the trial .* must be a JSON object, but is \[1\]"),
    ],
)
def test_odd_results_of_ray_are_refused(tmp_path: Path, result: str, parameters: str, message: str) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "params.json").write_text(parameters)
    (tmp_path / "trial" / "result.json").write_text(f'{{"training_iteration": 1}}\n{result}\n')
    with pytest.raises(InputError, match=message):
        read_source(tmp_path)


def test_a_value_of_ray_that_is_no_number_in_some_iterations_is_missing_there(tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "result.json").write_text('{"accuracy": "none yet"}\n{"accuracy": 0.5}\n')
    table = read_source(tmp_path)
    assert table.curves is not None
    assert np.isnan(table.curves["accuracy"].iloc[0])
    assert table.frame["accuracy"].tolist() == [0.5]


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
