"""Runs of small maps, made in this process and shared by the tests of a file."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import torch

import srbench
from srbench.engine import scheduler
from tests.cli.test_run import Here

PICTURES = Path(__file__).resolve().parent / "picture_plugin.py"
TOY = Path(__file__).resolve().parents[1] / "toy_plugin.py"


def run_here(*args, **options) -> srbench.Results:
    """`srbench.run` with the cells in this process; what they change of it is given back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads, real = torch.get_num_threads(), scheduler.Scheduler
    scheduler.Scheduler = Here
    try:
        return srbench.run(*args, **{"progress": False, "threads": 1, "device": "cpu", **options})
    finally:
        scheduler.Scheduler = real
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def pictures(folder: Path, methods: str = "pix,pix-rigid,pix-still,bicubic") -> srbench.Results:
    """A run of image methods in ``folder``."""
    os.environ["SRBENCH_OFFLINE"] = "1"
    return run_here(methods, "pixels", metrics="psnr,ssim", plugins=PICTURES, runs=folder / "runs")


def copied(results: srbench.Results, folder: Path) -> Path:
    """A copy of the runs folder, to be damaged."""
    return Path(shutil.copytree(results.runs, folder / "runs"))


def one(results: srbench.Results, label: str):
    """The record of a method."""
    return next(record for record in results.records if record.identity.label == label)
