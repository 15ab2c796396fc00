"""Clusters of several Ray nodes on this machine: nodes that go, that come, and that cannot see the study's folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reports.data.frames import read_study
from search.ray_tune.capacity import Node, probe
from search.study.resources import Resources
from tests.support.command_line import FAULTY, command, holders, wait_for, write_study
from tests.support.ray_cluster import RAY, Cluster
from tests.support.recipes import written_recipe
from tests.support.studies_without_ray import SMALL, facts
from trainables import records
from trainables.records import JournalReader

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture
def make_cluster() -> Iterator[Callable[..., Cluster]]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # Ray's sockets allow short paths only
    clusters: list[Cluster] = []

    def make(**options: Any) -> Cluster:
        clusters.append(Cluster(folder, **options))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.close()
    shutil.rmtree(folder, ignore_errors=True)


def remove(node: subprocess.Popen[bytes]) -> None:
    """Let a node's processes go without a word, as a machine does that is switched off; workers follow their node."""
    for child in Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    node.kill()


def ancestors(process: int) -> Iterator[int]:
    """Yield a process's parent, its parent, and so on, as far as they are alive."""
    with suppress(OSError):
        while process > 1:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
            yield process


def node_of(nodes: Iterable[subprocess.Popen[bytes]], log: Path) -> subprocess.Popen[bytes] | None:
    """Return the node whose worker has a run's log open.

    There may be none at the moment, or on a busy machine a second worker, of a node that Ray has lost sight of.
    """
    above = {ancestor for worker in holders(log) for ancestor in ancestors(worker)}
    return next((node for node in nodes if node.pid in above), None)


def ended(driver: subprocess.Popen[str]) -> str:
    """Wait for a command, which must succeed, and return what it said."""
    said, _ = driver.communicate(timeout=500)
    assert driver.returncode == 0, said
    return said


def test_the_runs_of_a_node_that_goes_away_continue_elsewhere_from_their_checkpoints(
    make_cluster: Callable[..., Cluster], tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    cluster, folder = make_cluster(), tmp_path / "study"
    nodes = [cluster.add(1), cluster.add(1)]
    study = write_study(tmp_path, **SMALL, resources={"checkpoint_seconds": 0.01})
    curves = write_curves(wait=1.0)
    run = command("run", study, "--replay", curves, "-o", folder, "--address", cluster.address, program=FAULTY)
    driver = cluster.run(*run)
    log = folder / records.LOGS / "search_all_baseline_k000.log"
    wait_for(lambda: list((folder / records.CHECKPOINTS / log.stem).glob("epoch-000003")))
    remove(wait_for(lambda: node_of(nodes, log)))
    ended(driver)
    assert "continuing after epoch" in log.read_text()
    assert {outcome for outcome, _ in facts(folder)[0].values()} <= {records.COMPLETED, records.STOPPED}
    assert len(read_study(folder).runs) == 8


def test_a_node_that_goes_away_during_real_training_costs_no_run_and_repeats_none(
    make_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster, folder = make_cluster(), tmp_path / "study"
    nodes = [cluster.add(1), cluster.add(1)]
    recipe = {"model": "resnet8", "augmentation": "crop", "epochs": 400, "batch_size": 32, "train_fraction": 0.2}
    study = write_study(tmp_path, **SMALL, recipe=recipe, resources={"checkpoint_seconds": 0.01})
    driver = cluster.run(*command("run", study, "-o", folder, "--address", cluster.address))
    checkpoint = wait_for(lambda: next((folder / records.CHECKPOINTS).glob("*/epoch-*[1-9]"), None))
    log = folder / records.LOGS / f"{checkpoint.parent.name}.log"
    remove(wait_for(lambda: node_of(nodes, log)))
    ended(driver)
    assert "continuing after epoch" in log.read_text()
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        runs = {run.name: run for _, run, _ in journal.runs()}
        outcomes = journal.outcomes()
    assert sorted(row.run for row in outcomes) == sorted(runs), "each run ended once"
    assert {row.outcome.outcome for row in outcomes} <= {records.COMPLETED, records.STOPPED}
    for phase, count in ((records.SEARCH, 4), (records.CONFIRM, 4)):
        planned = {(run.arm, run.index, run.seed_index) for run in runs.values() if run.phase == phase}
        assert len(planned) == sum(run.phase == phase for run in runs.values()) == count
    epochs = read_study(folder).runs["epoch"]
    assert set(epochs) <= set(range(1, 401))


def started_on_one_slot(
    cluster: Cluster, folder: Path, scratch: Path, write_curves: Callable[..., Path]
) -> subprocess.Popen[str]:
    """Replay a study on a cluster with room for one run, and return its driver once that run has started."""
    study = write_study(scratch, **{**SMALL, "confirm": {"points": 1, "seeds": 6}})
    curves = write_curves(wait=0.5, seeds=6)
    run = command("run", study, "--replay", curves, "-o", folder, "--address", cluster.address, program=FAULTY)
    driver = cluster.run(*run)
    wait_for(lambda: (folder / records.JOURNAL_FILE).exists() and unfinished(folder) == 1)
    return driver


def test_a_node_that_joins_later_and_does_not_see_the_folder_gets_no_run(
    make_cluster: Callable[..., Cluster], tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    share, apart = apart_from(tmp_path)
    cluster, folder = make_cluster(), share / "study"
    cluster.add(1)
    driver = started_on_one_slot(cluster, folder, tmp_path, write_curves)
    cluster.add(2, before=apart)
    said = ended(driver)
    assert f"is excluded: it has no {folder}; checkpoints and logs are stored there" in said
    assert said.count("is excluded") == 1
    assert {outcome for outcome, _ in facts(folder)[0].values()} <= {records.COMPLETED, records.STOPPED}
    assert len(read_study(folder).runs) == 4 + 12
    assert list(folder.glob(".probe-*")) == []


def test_more_runs_start_when_a_node_joins(
    make_cluster: Callable[..., Cluster], tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    cluster, folder = make_cluster(), tmp_path / "study"
    cluster.add(1)
    driver = started_on_one_slot(cluster, folder, tmp_path, write_curves)
    cluster.add(2)
    assert wait_for(lambda: unfinished(folder) == 3)
    ended(driver)


def unfinished(folder: Path) -> int:
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        return len(journal.runs()) - len(journal.outcomes())


def apart_from(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Return a new folder, and what starts a program that sees an empty one in its place."""
    share = folder / "share"
    share.mkdir()
    apart = ("unshare", "--map-root-user", "--mount", "sh", "-c", f'mount -t tmpfs none {share} && exec "$@"', "node")
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount, so a node cannot be kept from seeing a folder")
    return share, apart


def test_a_node_that_does_not_see_the_folder_is_named_before_anything_starts(
    make_cluster: Callable[..., Cluster], tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    share, apart = apart_from(tmp_path)
    cluster = make_cluster()
    cluster.add(1)
    cluster.add(1, before=apart)
    study = write_study(tmp_path, **SMALL)
    driver = cluster.run(
        *command("run", study, "--replay", write_curves(), "-o", share / "study", "--address", cluster.address)
    )
    said, _ = driver.communicate(timeout=300)
    assert driver.returncode == 2, said
    assert f"has no {share / 'study'}; checkpoints and logs are stored there" in said
    assert not (share / "study").exists()


@pytest.mark.parametrize("training", [False, True], ids=["study", "final training"])
def test_gpus_that_workers_cannot_use_are_refused_with_the_diagnosis_before_anything_is_written(
    make_cluster: Callable[..., Cluster], tmp_path: Path, training: bool
) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine may have a GPU")
    cluster, folder = make_cluster(), tmp_path / "out"
    cluster.add(1, gpus=1)
    if training:
        written_recipe(tmp_path / "recipe.yaml", epochs=4)
        asked = command("train", tmp_path / "recipe.yaml", "--gpus", 0.5, "-o", folder, "--address", cluster.address)
    else:
        study = write_study(tmp_path, **SMALL, resources={"gpus": 1})
        asked = command("run", study, "-o", folder, "--address", cluster.address)
    driver = cluster.run(*asked)
    said, _ = driver.communicate(timeout=400)
    assert driver.returncode == 2, said
    assert "can use none here: no NVIDIA driver was found" in said
    assert "node " in said
    assert not folder.exists()


def test_a_study_is_submitted_as_a_ray_job(
    make_cluster: Callable[..., Cluster], tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    if importlib.util.find_spec("aiohttp_cors") is None:
        pytest.skip("`ray job submit` needs ray[default]: uv pip install 'ray[default]'")
    cluster = make_cluster(dashboard=True)
    cluster.add(1)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(write_study(tmp_path, **SMALL), work)
    shutil.copy(write_curves(), work)
    submit = [RAY, "job", "submit", f"--address=http://127.0.0.1:{cluster.page}", f"--working-dir={work}", "--"]
    relative = cluster.run(*submit, *command("run", "study.yaml", "--replay", "curves.csv", "-o", "runs/s"))
    said, _ = relative.communicate(timeout=300)
    assert "Ray's temporary copy of the working directory" in said
    said = ended(cluster.run(*submit, *command("run", "study.yaml", "--replay", "curves.csv", "-o", tmp_path / "s")))
    assert "succeeded" in said
    assert len(facts(tmp_path / "s")[0]) == 8


def test_a_recipe_is_trained_on_two_nodes(make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster, folder = make_cluster(), tmp_path / "final"
    for _ in range(2):
        cluster.add(1)
    written_recipe(tmp_path / "recipe.yaml", epochs=4)
    train = command("train", tmp_path / "recipe.yaml", "--seeds", 2, "-o", folder, "--address", cluster.address)
    assert "mean" in ended(cluster.run(*train))
    assert len(list((folder / records.MODELS).glob("*.keras"))) == 2


def test_slots_are_counted_node_by_node() -> None:
    node = Node("id", "name", {"CPU": 3.0, "GPU": 1.0})
    assert [node.holds(Resources(cpus=cpus, gpus=gpus)) for cpus, gpus in ((1, 0), (2, 0), (1, 0.5), (4, 0))] == [
        3, 1, 2, 0,
    ]  # fmt: skip


def test_a_folder_that_is_another_or_of_another_version_is_named(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert "install the same version on every node" in probe(str(tmp_path), "token", "0")
    assert "has no " in probe(str(tmp_path), "token", version("assay"))
    (tmp_path / ".probe-token").write_text("other")
    assert "has a different" in probe(str(tmp_path), "token", version("assay"))
