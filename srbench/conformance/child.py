"""The process in which checks run: ``python -m srbench.conformance.child FOLDER``.

It is started where the user is, so that what they can import it can too, and works in FOLDER.

A plugin's code may hang or end its process, so the parent watches this one and starts another.
Jobs come as lines of JSON on stdin; on stdout go ``{"check": name}`` before a check,
``{"doing": what}`` around a training, ``{"verdict": ..., "detail": ..., "seconds": ...}`` after the
check, and ``{"done": true}`` after the job.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from srbench.conformance.check import Failed, NotTried, Verdict
from srbench.conformance.registry import checks
from srbench.engine.processes import die_with_parent
from srbench.errors import SrbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from srbench.conformance.check import Check
    from srbench.registry.catalog import Catalog

PARENT = "SRBENCH_CHECK_PARENT"


def main(jobs: TextIO, out: TextIO) -> None:
    """Run the jobs that come, until there are no more."""
    import torch

    from srbench.conformance.offline import offline
    from srbench.registry.catalog import discover

    torch.set_num_threads(1)

    def send(**words: Any) -> None:
        out.write(json.dumps(words) + "\n")
        out.flush()

    plugins = [Path(path) for path in json.loads(jobs.readline())]
    with offline():
        catalog = discover(plugins)
        send(ready=True)
        for line in jobs:
            work(catalog, json.loads(line), send)
            send(done=True)


def work(catalog: Catalog, job: dict[str, Any], send: Callable[..., None]) -> None:
    """Run the checks of one job."""
    try:
        subject, fault = subject_of(catalog, job, send), ""
    except SrbenchError as error:  # this process finds other plugins than its parent did
        subject, fault = None, error.message
    for check in checks(job["kind"]):
        if check.name in job["checks"]:
            send(check=check.name)
            send(**(run(check, subject) if not fault else
                    {"verdict": str(Verdict.FAILED), "detail": fault, "seconds": 0.0}))


def subject_of(catalog: Catalog, job: dict[str, Any], send: Callable[..., None]) -> Any:
    """What the checks of a job are run on."""
    from srbench.conformance.method_subject import MethodSubject
    from srbench.conformance.subjects import DatasetSubject, MetricSubject

    if job["kind"] == "dataset":
        return DatasetSubject(catalog.dataset(job["name"]))
    if job["kind"] == "metric":
        return MetricSubject(catalog.metric(job["name"]))
    return MethodSubject(catalog.method(job["name"]), problem=job["problem"],
                         avoid=frozenset(job["avoid"]), patience=job["patience"],
                         tell=lambda what: send(doing=what))


def run(check: Check, subject: Any) -> dict[str, Any]:
    """Run one check and return what came of it."""
    started, detail = time.perf_counter(), ""
    try:
        check.run(subject)
        verdict = Verdict.PASSED
    except NotTried as error:
        verdict, detail = Verdict.NOT_TRIED, str(error)
    except Failed as error:
        verdict, detail = Verdict.WARNED if check.warning else Verdict.FAILED, str(error)
    # The plugin's own code; a fault of the check itself must not pass for a promise kept either.
    except (Exception, SystemExit) as error:
        verdict, detail = Verdict.FAILED, f"{type(error).__name__}: {error}"
    return {"verdict": str(verdict), "detail": detail,
            "seconds": round(time.perf_counter() - started, 3)}


if __name__ == "__main__":
    if PARENT in os.environ:
        die_with_parent(signal.SIGKILL, int(os.environ.pop(PARENT)))
    # What a plugin prints must not be taken for a report.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.chdir(sys.argv[1])
    main(sys.stdin, answers)
    os._exit(0)  # threads a plugin left running must not keep this process alive
