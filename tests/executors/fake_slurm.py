"""Slurm's commands, as far as srbench and submitit use them, on one machine and without daemons.

``sbatch`` and the others are this file under other names, put on PATH by `install`. What they know
of jobs lies in the folder ``FAKE_SLURM`` names. As in Slurm, signals go to every process of a step.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

NAMES = ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol")
KILL_WAIT = 3.0  # seconds between the SIGTERM and the SIGKILL of a job that is cancelled


class Job:
    """A job's state and processes."""

    def __init__(self, folder: Path, number: str) -> None:
        self.number = number
        self.script = folder / f"{number}.sh"
        self._state, self._step = folder / f"{number}.state", folder / f"{number}.step"
        self.runner, self.requeue = folder / f"{number}.runner", folder / f"{number}.requeue"
        self.starts = folder / f"{number}.starts"

    @property
    def state(self) -> str:
        return self._state.read_text()

    @state.setter
    def state(self, value: str) -> None:
        new = self._state.with_suffix(".new")
        new.write_text(value)
        new.rename(self._state)

    @property
    def step(self) -> list[psutil.Process]:
        """Processes of the step; none before it began."""
        import psutil  # most commands do without, and start quicker

        try:
            task = psutil.Process(int(self._step.read_text()))
            return [task, *task.children(recursive=True)]
        except (OSError, ValueError, psutil.Error):
            return []

    @step.setter
    def step(self, pid: int) -> None:
        self._step.write_text(str(pid))

    def signal(self, number: int) -> None:
        for process in self.step:
            with contextlib.suppress(Exception):  # it has ended meanwhile
                process.send_signal(number)

    def fail(self, state: str) -> None:
        """Lose the job with everything that runs of it, as with its node."""
        import psutil

        self.state = state
        runner = psutil.Process(int(self.runner.read_text()))
        for process in [runner, *runner.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                process.kill()


class FakeSlurm:
    """Where jobs are kept, and what the tests ask."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def job(self, number: str) -> Job:
        return Job(self.folder, number)

    def jobs(self) -> list[Job]:
        return [self.job(path.stem) for path in sorted(self.folder.glob("*.state"),
                                                       key=lambda path: int(path.stem))]

    def calls(self, name: str) -> list[list[str]]:
        """Arguments of each call of a command."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [words[1:] for words in map(json.loads, lines) if words[0] == name]

    def wait(self) -> None:
        """Kill what is left."""
        for job in self.jobs():
            if job.state in ("PENDING", "RUNNING"):
                job.fail("CANCELLED")


def install(folder: Path) -> FakeSlurm:
    """Write the commands into ``folder/bin`` and return what tells of their jobs."""
    binaries, jobs = folder / "bin", folder / "jobs"
    binaries.mkdir(parents=True)
    jobs.mkdir()
    for name in NAMES:
        script = binaries / name
        script.write_text(f"#!{sys.executable}\n" + Path(__file__).read_text(encoding="utf-8"))
        script.chmod(0o755)
    return FakeSlurm(jobs)


def sbatch(slurm: FakeSlurm, words: list[str]) -> int:
    if refusal := os.environ.get("FAKE_SLURM_REFUSES"):
        sys.stderr.write(f"sbatch: error: {refusal}\n")
        return 1
    number = str(100 + len(slurm.jobs()))
    job = slurm.job(number)
    job.script.write_text(Path(words[-1]).read_text())
    job.state = "PENDING"
    runner = subprocess.Popen([sys.executable, sys.argv[0], "--run", number],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    job.runner.write_text(str(runner.pid))
    sys.stdout.write(f"Submitted batch job {number}\n")
    return 0


def run(slurm: FakeSlurm, number: str) -> int:
    """What a node does for a job: run it, and again whenever it was requeued."""
    job, slots = slurm.job(number), int(os.environ.get("FAKE_SLURM_SLOTS", "9"))
    while True:
        while job.state == "PENDING":
            if sum(other.state == "RUNNING" for other in slurm.jobs()) < slots:
                job.state = "RUNNING"
            time.sleep(0.05)
        if job.state != "RUNNING":
            return 0
        with job.starts.open("a") as file:
            file.write("start\n")
        code = subprocess.run(["bash", str(job.script)], check=False,
                              env={**os.environ, "SLURM_JOB_ID": number}).returncode
        if job.requeue.exists():
            job.requeue.unlink()
            job.state = "PENDING"
            continue
        if job.state == "RUNNING":
            job.state = "FAILED" if code else "COMPLETED"
        return 0


def srun(slurm: FakeSlurm, words: list[str]) -> int:
    number = os.environ["SLURM_JOB_ID"]
    streams = {}
    while words[0].startswith("--"):
        option = words.pop(0)
        if option in ("--output", "--error"):
            streams[option] = words.pop(0).replace("%j", number).replace("%t", "0")
    for option, descriptor in (("--output", 1), ("--error", 2)):
        os.dup2(os.open(streams[option], os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.environ |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
                   "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}
    slurm.job(number).step = os.getpid()
    os.execvp(words[0], words)


def squeue(slurm: FakeSlurm, words: list[str]) -> int:
    for job in slurm.jobs():
        if job.state in ("PENDING", "RUNNING"):
            sys.stdout.write(f"{job.number}\n")
    return 0


def sacct(slurm: FakeSlurm, words: list[str]) -> int:
    sys.stdout.write(f"{slurm.job(words[words.index('--jobs') + 1]).state} by 0\n")
    return 0


def scancel(slurm: FakeSlurm, words: list[str]) -> int:
    job = slurm.job(words[-1])
    options = dict(word.removeprefix("--").split("=") for word in words[:-1])
    if "state" in options and job.state != options["state"]:
        return 0
    if "signal" in options:
        job.signal(getattr(signal, f"SIG{options['signal']}"))
        return 0
    if job.state == "RUNNING":
        job.signal(signal.SIGTERM)
        if os.fork() == 0:
            deadline = time.monotonic() + KILL_WAIT
            while job.step and time.monotonic() < deadline:
                time.sleep(0.05)
            job.signal(signal.SIGKILL)
            os._exit(0)
    if job.state in ("PENDING", "RUNNING"):
        job.state = "CANCELLED"
    return 0


def scontrol(slurm: FakeSlurm, words: list[str]) -> int:
    verb, number = words
    assert verb == "requeue"
    slurm.job(number).requeue.touch()
    return 0


def main() -> int:
    slurm, words = FakeSlurm(Path(os.environ["FAKE_SLURM"])), sys.argv[1:]
    if words[0] == "--run":
        return run(slurm, words[1])
    name = Path(sys.argv[0]).name
    with (slurm.folder / "calls").open("a") as file:
        file.write(json.dumps([name, *words]) + "\n")
    return globals()[name](slurm, words)


if __name__ == "__main__":
    sys.exit(main())
