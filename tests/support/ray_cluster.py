"""Ray clusters on this machine, for tests and benchmarks."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
STARTS = 3
"""How often a node is started: on a busy machine Ray gives up after half a minute."""
LONGEST_START = 200
"""Seconds that the start of a node may take."""


class Cluster:
    """A head, by default without CPUs, and nodes that come and go; its token and its files are its own.

    Args:
        folder: where Ray puts its files; Ray's sockets allow short paths only.
        cpus: logical CPUs of the head.
        dashboard: whether the head has the page to which jobs are submitted.
    """

    def __init__(self, folder: Path, cpus: int = 0, dashboard: bool = False) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.page = free_port()
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        own = {"RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
        own["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # a job would copy the working directory
        self.env = {**os.environ, **token, **own}
        self._folder = folder
        self._nodes: list[subprocess.Popen[bytes]] = []
        port = self.address.split(":")[1]
        options = [f"--include-dashboard={str(dashboard).lower()}", f"--dashboard-port={self.page}"]
        self._start("--head", "--node-ip-address=127.0.0.1", f"--port={port}", f"--num-cpus={cpus}", *options)

    def _start(self, *options: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        log = self._folder / f"node-{len(self._nodes)}.log"
        arguments = [*before, str(RAY), "start", "--block", "--object-store-memory=100000000", *options]
        for _ in range(STARTS):
            with log.open("wb") as out:
                node = subprocess.Popen(arguments, env=self.env, cwd=self._folder, stdout=out, stderr=out)
            self._nodes.append(node)
            until = time.monotonic() + LONGEST_START
            while node.poll() is None and time.monotonic() < until:
                if "Ray runtime started" in log.read_text():
                    return node
                time.sleep(0.05)
            node.kill()
        self.close()
        raise AssertionError(log.read_text())

    def add(self, cpus: int, gpus: int = 0, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a node; its GPUs are only claimed."""
        options = (f"--address={self.address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}")
        return self._start(*options, before=before)

    def run(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [*map(str, arguments)],
            env=self.env,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def close(self) -> None:
        """End all nodes, the head last."""
        for node in reversed(self._nodes):
            node.terminate()
            node.wait()


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
