"""Checks of a dataset: what it declares, and the list of all its checks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from srbench.api.dataset import CropDataset
from srbench.conformance import dataset_pairs, dataset_photographs, dataset_sampling, declared
from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.dataset_trial import trial

CHEAP = 1.0  # seconds a constructor may take when the data has been there before
CHILD_SECONDS = 120
SAY = ("import sys; from srbench.conformance.dataset_trial import say_fingerprint; "
       "say_fingerprint(sys.argv[1], sys.argv[2:])")


def opens(subject: Any) -> None:
    """The dataset can be constructed and prepared, or says what is missing."""
    trial(subject).must_open()


def cheap(subject: Any) -> None:
    """The constructor is quick once the data is on the machine."""
    known = trial(subject)
    known.fresh()  # what is made once on a machine is made now
    spent = min(_seconds(known.fresh) for _ in range(2))
    if spent > CHEAP:
        raise Failed(f"the constructor takes {spent:.1f} s every time, {CHEAP:g} s are cheap")


def problem_declared(subject: Any) -> None:
    """Domain, shapes, scale and extents agree with one another."""
    dataset = trial(subject).fresh()
    problem = getattr(dataset, "problem", None)
    if problem is None:
        raise Failed("the constructor sets no self.problem")
    low, high, scale = problem.lr_shape, problem.hr_shape, problem.scale
    if problem.domain not in ("image", "vector", "sr"):
        raise Failed(f'problem.domain={problem.domain!r} is none of "image", "vector", "sr"')
    said = f"domain {problem.domain!r}, lr_shape {low}, hr_shape {high}, scale {scale}"
    if problem.domain == "vector":
        fits = len(low) == 1 and low == high and scale == 1
    else:
        fits = (len(low) == len(high) == 3 and low[0] == high[0] == 3
                and high[1:] == (scale * low[1], scale * low[2])
                and (scale > 1) == (problem.domain == "sr"))
    if not fits:
        raise Failed(f"problem does not agree with itself: {said}")
    if problem.domain == "sr" and not isinstance(dataset, CropDataset):
        raise Failed('a dataset of domain "sr" is no srbench.CropDataset')
    for name in ("name", "title"):
        if not isinstance(getattr(dataset, name), str) or not getattr(dataset, name):
            raise Failed(f"{name}={getattr(dataset, name)!r} is no name; call "
                         "super().__init__(params, name)")
    if not dataset.source:
        raise Failed('source is empty; say where the data comes from, e.g. "official" or '
                     '"generated"')


def fingerprint_stable(subject: Any) -> None:
    """The fingerprint names the data, whoever asks where and when."""
    known = trial(subject)
    first = known.fresh().fingerprint()
    if not isinstance(first, str) or not re.fullmatch(r"[0-9a-f]{64}", first):
        raise Failed(f"fingerprint() returned {first!r}, no SHA-256 of 64 hex digits")
    if known.fresh().fingerprint() != first:
        raise Failed("two objects of the same parameters have different fingerprints")
    _ = known.samples, known.test
    if known.dataset.fingerprint() != first:
        raise Failed("the fingerprint changes when the dataset is prepared or used")
    elsewhere = _fingerprint_elsewhere(subject.entry)
    if elsewhere != first:
        raise Failed("in another process and folder the fingerprint is another "
                     f"({elsewhere[:12]} instead of {first[:12]})")


def no_network(subject: Any) -> None:
    """Nothing but an explicit fetch uses the network."""
    known = trial(subject)
    try:
        _ = known.samples, known.test
    except NotTried:  # without network it may not open at all
        if not known.effects.asked:
            raise
    if known.effects.asked:
        raise Failed(f"it asked the network for {', '.join(dict.fromkeys(known.effects.asked))}")


def no_global_state(subject: Any) -> None:
    """Working directory, environment, torch's defaults and threads stay as they are."""
    known = trial(subject)
    _ = known.samples, known.test
    if known.effects.changes:
        raise Failed("; ".join(dict.fromkeys(known.effects.changes)))


def _seconds(action: Any) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _fingerprint_elsewhere(entry: Any) -> str:
    """Ask for the fingerprint in a process with another folder, hash seed and time zone."""
    plugins = [str(Path(entry.plugin).resolve())] if entry.distribution == "file" else []
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Pacific/Auckland",
                   "SRBENCH_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-c", SAY, entry.info.name, *plugins], cwd=folder,
                              env=environment, capture_output=True, text=True,
                              timeout=CHILD_SECONDS, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"in another process it does not open: {last}")
    return str(json.loads(done.stdout.splitlines()[-1])["fingerprint"])


CHECKS: tuple[Check, ...] = (
    *declared.DATASET,
    Check(name="dataset-opens", kind="dataset", run=opens,
          what="The dataset can be constructed and prepared, or says with DataError what is "
               "missing and how to get it.",
          remedy="Mend the error; for data that is not there raise srbench.errors.DataError with "
                 "the command that gets it as hint."),
    Check(name="constructor-is-cheap", kind="dataset", run=cheap,
          what="The constructor takes less than a second once the data is on the machine.",
          remedy="Load and compute in prepare(device); keep in the constructor what fixes problem "
                 "and fingerprint."),
    Check(name="problem-is-declared", kind="dataset", run=problem_declared,
          what="Domain, shapes, scale and source are set by the constructor and agree.",
          remedy='Set self.problem = Problem(domain=..., lr_shape=..., hr_shape=..., scale=...): '
                 '"vector" has flat shapes, "image" scale 1, "sr" a scale above 1 and a '
                 "CropDataset."),
    Check(name="fingerprint-is-stable", kind="dataset", run=fingerprint_stable,
          what="The fingerprint is a SHA-256 that is the same for every object, process, folder "
               "and time.",
          remedy="Hash what defines P, Q and the test pairs with hashlib.sha256: no time, path, "
                 "object id or Python hash()."),
    *dataset_sampling.CHECKS,
    *dataset_pairs.CHECKS,
    *dataset_photographs.CHECKS,
    Check(name="dataset-needs-no-network", kind="dataset", run=no_network,
          what="Constructor, prepare, draws and pairs do not use the network.",
          remedy="Download in the classmethod fetch(params), which srbench fetch calls, with "
                 "srbench.files.ensure."),
    Check(name="dataset-leaves-the-process-alone", kind="dataset", run=no_global_state,
          what="Working directory, environment, torch's defaults and threads stay as they are.",
          remedy="Put back what you change, or compute without changing it."),
)
