"""Checks are run in processes of their own, two at a time, and what they say is collected."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from srbench.conformance.check import Result, Verdict
from srbench.conformance.child import PARENT
from srbench.conformance.merge import Partial, merged
from srbench.conformance.registry import checks, chosen
from srbench.conformance.subjects import PROBLEMS
from srbench.conformance.targets import Target, resolve
from srbench.engine.processes import kill_group
from srbench.errors import UsageError

CHILDREN = 2
START = 120.0  # seconds a process may take to import torch and the plugins
TIMEOUT = 60.0  # seconds a check may take
INTERRUPT = "interrupt-obeyed"
TAIL = 300  # characters of what a process said before it ended

Listener = Callable[[Partial], object]


@dataclass(frozen=True)
class Job:
    """Checks that share a subject."""

    target: Target
    problem: str
    checks: tuple[str, ...]
    avoid: frozenset[str] = frozenset()


@dataclass
class Runner:
    """Runs jobs in child processes.

    Parameters
    ----------
    plugins : sequence of Path
        One-off plugins.
    timeout : float
        Seconds one check may take.
    on_result : callable
        Told of every check on every problem, as it ends.
    """

    plugins: Sequence[Path]
    timeout: float
    on_result: Listener
    found: list[Partial] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.Lock)
    _failure: BaseException | None = None

    def run(self, jobs: Iterable[Job]) -> list[Partial]:
        """Run all jobs and return what came of every check on every problem."""
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        planned = list(jobs)
        for job in planned:
            waiting.put(job)
        self._stop = threading.Event()
        threads = [threading.Thread(target=self._work, args=(waiting,), daemon=True)
                   for _ in range(min(CHILDREN, len(planned)))]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:  # also when the user stops it
            self._stop.set()
            for thread in threads:
                thread.join(5)
        if self._failure is not None:
            raise self._failure
        return self.found

    def _work(self, waiting: queue.SimpleQueue[Job]) -> None:
        """Take jobs until there are none; a process that is lost is replaced."""
        child: Child | None = None
        try:
            while not self._stop.is_set():
                try:
                    job: Job | None = waiting.get_nowait()
                except queue.Empty:
                    return
                while job is not None:
                    if child is None:
                        child = Child(self.plugins, self._stop)
                    job = self._one(child, job)
                    if job is not None or child.lost:
                        child.end()
                        child = None
        except Stopped:
            return
        except BaseException as error:
            self._failure = error
        finally:
            if child is not None:
                child.end()

    def _one(self, child: Child, job: Job) -> Job | None:
        """Run a job; return what is left of it where the process was lost."""
        child.send({"kind": job.target.kind, "name": job.target.name, "problem": job.problem,
                    "checks": job.checks, "avoid": sorted(job.avoid),
                    "patience": self.timeout / 2})
        left, running, doing = list(job.checks), "", ""
        deadline = time.monotonic() + self.timeout
        while True:
            word = child.read(deadline)
            if word is None:
                return self._lost(child, job, left, running, doing)
            deadline = time.monotonic() + self.timeout
            if "check" in word:
                running = word["check"]
            elif "doing" in word:
                doing = word["doing"]
            elif "verdict" in word:
                left.remove(running)
                self._note(job, running, Verdict(word["verdict"]), word["detail"],
                           word["seconds"])
            elif "done" in word:
                return None

    def _lost(self, child: Child, job: Job, left: list[str], running: str,
              doing: str) -> Job | None:
        """Say what a process that hung or died did last, and return the rest of its job."""
        child.lost = True
        if child.code is None and doing:
            said = (f"{doing} did not end within {self.timeout:.0f} s, nor come to the end of a "
                    "step: it was killed")
        elif child.code is None:
            said = f"it did not end within {self.timeout:.0f} s and was killed"
        else:
            said = f"it ended the process, {ended(child.code)}" + (f", in {doing}" if doing else "")
            said += f": {child.tail()}" if child.tail() else ""
        hung = child.code is None and bool(doing)
        blamed = INTERRUPT if hung and INTERRUPT in left else running
        if running in left:
            left.remove(running)
            if blamed != running:
                self._note(job, running, Verdict.NOT_TRIED,
                           f"{doing} does not end: see the check {INTERRUPT}", self.timeout)
        if blamed in left:
            left.remove(blamed)
        self._note(job, blamed, Verdict.FAILED, said, self.timeout)
        avoid = job.avoid | ({doing} if doing else set())
        return replace(job, checks=tuple(left), avoid=avoid) if left else None

    def _note(self, job: Job, check: str, verdict: Verdict, detail: str, seconds: float) -> None:
        partial = Partial(job.target.kind, job.target.name, check, job.problem, verdict, detail,
                          seconds)
        with self._lock:
            self.found.append(partial)
            self.on_result(partial)


class Stopped(Exception):
    """The user stopped the checks."""


class Child:
    """One process that runs checks.

    Parameters
    ----------
    plugins : sequence of Path
        One-off plugins.
    stop : Event
        Set when the checks are to end.
    """

    def __init__(self, plugins: Sequence[Path], stop: threading.Event) -> None:
        self.lost = False
        self._stop = stop
        self._folder = tempfile.TemporaryDirectory(prefix="srbench-check-",
                                                   ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        (folder / "tmp").mkdir()
        self._log = folder / "log.txt"
        environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1",
                       "MKL_NUM_THREADS": "1", PARENT: str(os.getpid())}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "srbench.conformance.child"], cwd=folder / "tmp",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment,
                start_new_session=True)
        self._words: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self.send([str(path) for path in plugins])
        if self.read(time.monotonic() + START) is None:
            message = f"the process that runs checks did not start: {self.tail()}"
            self.end()
            raise UsageError(message)

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            with suppress(ValueError):  # half a line of a process that was killed
                self._words.put(json.loads(line))
        self._words.put(None)

    @property
    def code(self) -> int | None:
        """Exit code of a process that ended by itself."""
        return self._process.poll()

    def send(self, words: Any) -> None:
        """Write a line to the process; one that is dead is noticed when it is read from."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write((json.dumps(words) + "\n").encode())
            self._process.stdin.flush()

    def read(self, deadline: float) -> dict[str, Any] | None:
        """Return the next report; None where the process is dead or says nothing for too long.

        Raises
        ------
        Stopped
            If the checks are to end.
        """
        while True:
            try:
                word = self._words.get(timeout=0.2)
            except queue.Empty:
                if self._stop.is_set():
                    raise Stopped from None
                if time.monotonic() > deadline:
                    return None
                continue
            if word is None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(2)
            return word

    def tail(self) -> str:
        """Last line of what the process printed."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][-TAIL:] if lines else ""

    def end(self) -> None:
        """Kill the process and what it started."""
        kill_group(self._process.pid)
        self._process.wait()
        self._folder.cleanup()


def ended(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"


def jobs_of(targets: Iterable[Target], only: frozenset[str]) -> list[Job]:
    """What there is to run, the longest first."""
    jobs = []
    for target in targets:
        wanted = [check for check in checks(target.kind) if not only or check.name in only]
        for problem in (*PROBLEMS, "") if target.kind == "method" else ("",):
            names = tuple(check.name for check in wanted
                          if (check.scope == "problem") == bool(problem))
            if names:
                jobs.append(Job(target, problem, names))
    return sorted(jobs, key=lambda job: (*PROBLEMS, "").index(job.problem))


def run_checks(name: str, *, only: Iterable[str] = (), plugins: Sequence[Path] = (),
               timeout: float = TIMEOUT, on_result: Listener = lambda partial: None
               ) -> list[Result]:
    """Run the checks of everything a name stands for.

    Parameters
    ----------
    name : str
        A method, dataset, metric or plugin, or the path of a Python file.
    only : iterable of str
        Names of checks; empty runs all.
    plugins : sequence of Path
        One-off plugins to load besides.
    timeout : float
        Seconds one check may take.
    on_result : callable
        Told of every check on every problem, as it ends.

    Returns
    -------
    list of Result
        One for each check and thing, in the order of the registry.

    Raises
    ------
    UnknownName
        If nothing has the name, or there is no check of a name.
    """
    wanted = chosen(only)
    found = resolve(name, plugins)
    runner = Runner(found.plugins, timeout, on_result)
    partials = runner.run(jobs_of(found.targets, wanted))
    return [*(result for result in found.results if not wanted or result.check in wanted),
            *merged(partials, found.targets)]


def check_plugin(name: str | Path, only: Iterable[str] = (), *,
                 timeout: float = TIMEOUT) -> list[Result]:
    """Run the checks of a plugin; what a plugin's own test calls.

    Parameters
    ----------
    name : str or Path
        A method, dataset, metric or plugin, or the path of a Python file.
    only : iterable of str
        Names of checks; empty runs all.
    timeout : float
        Seconds one check may take.

    Returns
    -------
    list of Result
        What came of each check.

    Raises
    ------
    AssertionError
        If one failed, with the table of those that did.
    UnknownName
        If nothing has the name, or there is no check of a name.

    Examples
    --------
    >>> from srbench.testing import check_plugin
    >>> def test_it_keeps_its_promises():
    ...     check_plugin("bicubic")
    """
    results = run_checks(str(name), only=only, timeout=timeout)
    failed = [result for result in results if result.verdict is Verdict.FAILED]
    if failed:
        lines = [f"{result.check} ({result.kind} {result.subject}): {result.detail}\n"
                 f"    remedy: {result.remedy}" for result in failed]
        raise AssertionError(f"{len(failed)} of {len(results)} checks failed\n" + "\n".join(lines))
    return results
