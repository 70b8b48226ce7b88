"""Checks are run in processes of their own, two at a time, and what they say is collected."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from srbench.conformance.check import Verdict
from srbench.conformance.merge import Partial
from srbench.conformance.method_subject import PROBLEMS
from srbench.conformance.process import START, Child, Stopped, ended
from srbench.conformance.registry import checks
from srbench.conformance.targets import Target

CHILDREN = 2
TIMEOUT = 60.0  # seconds a check may take
INTERRUPT = "interrupt-obeyed"

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
        deadline = time.monotonic() + START  # the plugin's modules are imported first
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
                running = ""
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
        if not running and len(left) == len(job.checks):  # it did not come to the first check
            for name in left:
                self._note(job, name, Verdict.FAILED, said, 0.0)
            return None
        running = running or (left or [""])[0]
        if not running:  # the last check was done
            return None
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
