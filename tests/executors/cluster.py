"""A real Ray cluster on this machine: a head without CPUs and worker nodes that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

STORE = 80 * 2**20  # bytes; Ray takes no less than 75 MB
PATIENCE = 60.0
# A dead node is noticed after a second instead of half a minute.
NOTICE = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300,
          "health_check_timeout_ms": 1000, "health_check_failure_threshold": 3}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class RayCluster:
    """Started by ``ray start``, each node by a process of its own that stays in front of it."""

    def __init__(self) -> None:
        # Sockets lie below it, and their paths may be no longer than 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        self.port = free_port()
        self.client_port = free_port()
        token = self.folder / "token"
        token.write_text(secrets.token_hex(16))
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token),
                            "RAY_TMPDIR": str(self.folder)}
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.start("--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false",
                   f"--ray-client-server-port={self.client_port}",
                   f"--temp-dir={self.folder}", f"--system-config={json.dumps(NOTICE)}")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block",
                   "--disable-usage-stats", f"--object-store-memory={STORE}",
                   "--min-worker-port=0", "--max-worker-port=0", *options]
        path = self.folder / f"node{len(self.nodes)}.txt"
        with path.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**environment, **self.environment,
                     "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"})
        self.nodes.append(process)
        deadline = time.monotonic() + PATIENCE
        while "Ray runtime started" not in (said := path.read_text(errors="replace")):
            # One after the other: nodes of one machine that start together get in each other's way.
            if process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise AssertionError(said)
            time.sleep(0.1)
        return process

    def add_node(self, *options: str) -> subprocess.Popen[bytes]:
        return self.start(f"--address={self.address}", "--num-cpus=1", *options)

    def close(self) -> None:
        for node in self.nodes:
            kill_tree(node)
        shutil.rmtree(self.folder, ignore_errors=True)


def kill_tree(node: subprocess.Popen[bytes]) -> None:
    """Kill a process and all below it at one stroke, as a power cut does."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(node.pid)
        tree = [root, *root.children(recursive=True)]
        for process in tree:  # none of them may start another or say goodbye
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in [*tree, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    node.wait()
