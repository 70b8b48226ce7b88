"""``srbench run``: plan cells, run them, show the results, build the page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.config import merge_config

if TYPE_CHECKING:
    from collections.abc import Callable

EPILOG = """\b
Examples:
  srbench run --methods ots,wgan-gp --dataset w2-early
  srbench run --methods 'ots,wgan-gp[lambda=[10,100]],identity' --dataset w2-early --seeds 0,1,2
  srbench run --methods ots --dataset w2-early --track tensorboard
"""


def how_to_run(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where and how cells run, and decide no number."""
    for option in reversed((
        click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N",
                     help="Cells at a time.  [default: as many as this machine's cores, memory "
                          "and GPUs take]"),
        click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                     help="End a cell that takes longer, whatever it is doing."),
        click.option("--rank-timeout", type=click.FloatRange(min=0, min_open=True),
                     metavar="SECONDS", help="With --gpus-per-cell: end a cell one of whose "
                                             "processes does not answer.  [default: 600]"),
        click.option("--checkpoint-every", type=click.FloatRange(min=0), metavar="SECONDS",
                     help="Time between two checkpoints: what a crash may cost.  [default: 60]"),
        click.option("--executor", metavar="NAME",
                     help="local, ray or slurm.  [default: local]"),
        click.option("--address", metavar="ADDRESS",
                     help="Ray cluster to connect to, e.g. auto or ray://head:10001."),
        click.option("--slurm", multiple=True, metavar="KEY=VALUE",
                     help="Slurm option of each job, e.g. partition=gpu or time=600 (minutes)."),
        click.option("--track", multiple=True, metavar="LIST",
                     help="Tell these trackers of the run, e.g. tensorboard,mlflow; see srbench "
                          "list trackers.  [default: none]"),
        click.option("--runs", type=click.Path(path_type=Path), metavar="DIR",
                     help="Where records are kept.  [default: runs]"),
        click.option("--json", "as_json", is_flag=True,
                     help="One JSON line per finished record on stdout."),
    )):
        command = option(command)
    return command


@click.command(epilog=None, help="\b\n" + EPILOG.split("\n", 1)[1] + """
Train and evaluate methods on datasets and build a leaderboard page.

A cell (method x dataset x seed) that is already done is not run again; an interrupted one goes on
from its last checkpoint. The path of the page is printed on stdout, everything else on stderr.
""")
@click.option("--methods", multiple=True, metavar="SPECS",
              help="Methods: name[key=value,...]; key=[a,b] is a sweep.")
@click.option("--dataset", "--datasets", "dataset", multiple=True, metavar="SPECS",
              help="Datasets, in the same grammar.")
@click.option("--seeds", metavar="LIST", help="Seeds, one cell each.  [default: 0]")
@click.option("--preset", metavar="NAME",
              help="quick (minutes on two CPU cores), paper (the paper's settings) or code (the "
                   "released code's).  [default: quick]")
@click.option("--set", "settings", multiple=True, metavar="NAME.KEY=VALUE",
              help="Set a parameter of a method or dataset, e.g. ots.iterations=500.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE",
              help="TOML file with these options; the command line wins.")
@click.option("--plugin", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
              help="Also load a plugin from a Python file or a package's folder.")
@click.option("--metrics", metavar="LIST", help="Only these metrics.  [default: all installed]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if present]")
@click.option("--precision", metavar="NAME", help="fp32 or bf16.  [default: fp32]")
@click.option("--budget", metavar="AMOUNT",
              help="Stop each training after this: 600s, 10m, 2h or 500it.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N",
              help="CPU threads of each cell; they decide its last digits.  [default: 1, with "
                   "CUDA 4]")
@click.option("--gpus-per-cell", type=click.IntRange(min=1), metavar="N",
              help="Spread each training over N GPUs, or N processes on the CPU.  [default: 1]")
@click.option("--memory", type=click.FloatRange(min=0, min_open=True), metavar="GIB",
              help="Memory to reserve for each cell.  [default: what its method says]")
@click.option("--gpu-memory", type=click.FloatRange(min=0, min_open=True), metavar="GIB",
              help="GPU memory to reserve for each cell; cells then share GPUs.  [default: a "
                   "whole GPU]")
@how_to_run
@click.option("--rerun", is_flag=True, help="Run cells again that are already done.")
@click.option("--dry-run", is_flag=True, help="Show the plan and write nothing.")
def command(**options: Any) -> None:
    """Plan, run, show (see the help text above)."""
    given = merge_config(options)
    from srbench.cli.execute import execute, say_plan
    from srbench.running.run import plan_run, start

    run = plan_run(given)
    say_plan(run)
    if not options["dry_run"]:
        start(run, shlex.join(["srbench", *sys.argv[1:]]))
        execute(run)
