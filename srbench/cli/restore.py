"""``srbench restore``: images through the trained map of a finished cell."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import json_option, plugin_option
from srbench.errors import SrbenchError, UsageError

if TYPE_CHECKING:
    from srbench.python.trained import TrainedMap


@dataclass(frozen=True)
class Job:
    """An image to restore."""

    source: Path
    target: Path


@click.command(help="""\b
Examples:
  srbench restore --record 3f9a2c in.png out.png
  srbench restore --record runs/cells/3f9a2c71.../record.json photographs/*.jpg restored/

Restore images by the trained map of a finished cell. KEY is a cell's key or the beginning of one
(srbench show --json and the leaderboard page have them), its folder or its record. Several images
go into a folder, as PNG under their own names. Large images are restored in tiles where memory
asks for it. Grey and palette images become RGB, alpha and colour profile are kept, EXIF
orientation is applied; 16-bit, CMYK and animated files are refused. Paths written are printed.
""")
@click.option("--record", required=True, metavar="KEY", help="The cell whose map restores.")
@click.argument("paths", nargs=-1, required=True, metavar="IN... OUT")
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR", default=Path("runs"),
              help="Where records are kept.  [default: runs]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if present]")
@click.option("--oracle", is_flag=True,
              help="Weights of the best validation, which ground truth chose.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@plugin_option
@json_option
@click.pass_context
def command(context: click.Context, record: str, paths: tuple[str, ...], runs: Path,
            device: str | None, plugins: tuple[Path, ...], *, oracle: bool, force: bool,
            as_json: bool) -> None:
    """Check what was asked, load the map, restore image by image."""
    jobs = make_jobs(paths, force=force)
    trained = _loaded(record, runs, device, plugins, oracle=oracle)
    trained.check_images()
    done, failed = _restore_all(trained, jobs)
    if as_json:
        output().document({"record": trained.record.identity.key,
                           "method": trained.record.identity.label, "images": done + failed})
    else:
        for one in done:
            output().answer(one["target"])
    if failed:
        context.exit(ExitCode.FAILURE)


def make_jobs(paths: Sequence[str], *, force: bool) -> list[Job]:
    """Pair every image with the file it is restored into; nothing is read or written.

    Raises
    ------
    UsageError
        If there is no output, a file would be overwritten, or a name cannot be written.
    """
    from srbench.python.pictures import format_of

    *sources, last = paths
    if not sources:
        raise UsageError(f"{last} is the only path: where the restored image goes is missing",
                         hint=f"srbench restore --record KEY {last} out.png")
    out = Path(last)
    if len(sources) > 1 or last.endswith(("/", os.sep)) or out.is_dir():
        if out.is_file():
            raise UsageError(f"{out} is a file; {len(sources)} images go into a folder")
        jobs = [Job(Path(name), out / f"{Path(name).stem}.png") for name in sources]
    else:
        jobs = [Job(Path(sources[0]), out)]
    targets: dict[Path, Path] = {}
    for job in jobs:
        format_of(job.target)
        if job.target in targets:
            raise UsageError(f"{targets[job.target]} and {job.source} would both become "
                             f"{job.target}", hint="restore them into two folders")
        targets[job.target] = job.source
        if job.target.exists() and (not force or job.target.samefile(job.source)):
            raise UsageError(f"{job.target} is there already", hint="--force overwrites it"
                             if not job.target.samefile(job.source) else "name another file")
    return jobs


def _loaded(record: str, runs: Path, device: str | None, plugins: tuple[Path, ...], *,
            oracle: bool) -> TrainedMap:
    """The map; what changed since its cell ran is a warning on stderr."""
    import warnings

    from srbench.python.trained import load
    from srbench.running.request import choose_device

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trained = load(record, runs=runs, device=choose_device(device), oracle=oracle,
                       plugins=plugins)
    for one in caught:
        output().warn(str(one.message))
    output().detail(repr(trained))
    return trained


def _restore_all(trained: TrainedMap,
                 jobs: Sequence[Job]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Restore image by image; of several, those that cannot be restored are told and left out."""
    from srbench.cli.progress import bar

    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    with bar("restored", len(jobs)) as advance:
        for number, job in enumerate(jobs, 1):
            try:
                done.append(_restore(trained, job))
            except SrbenchError as error:
                if len(jobs) == 1:
                    raise
                failed.append({"source": str(job.source), "error": error.message})
                output().error(error.message, error.hint)
            else:
                _say(done[-1], f"[{number}/{len(jobs)}] " if len(jobs) > 1 else "")
            advance()
    return done, failed


def _restore(trained: TrainedMap, job: Job) -> dict[str, Any]:
    """Restore one image and say what became of it."""
    from srbench.python.pictures import format_of, read_picture, write_picture

    started = time.perf_counter()
    picture = read_picture(job.source, trained.problem.scale)
    format_of(job.target, alpha=picture.alpha is not None)
    image = trained.restore(picture)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(image, job.target)
    height, width = picture.pixels.shape[2:]
    return {"source": str(job.source), "target": str(job.target), "from": [width, height],
            "to": list(image.size), "seconds": round(time.perf_counter() - started, 3),
            "notes": [*picture.notes, *trained.notes]}


def _say(one: dict[str, Any], lead: str) -> None:
    sizes = " -> ".join("x".join(map(str, one[end])) for end in ("from", "to"))
    output().note(f"{lead}{one['source']}: {sizes} in {one['seconds']:.1f} s"
                  + "".join(f"; {note}" for note in one["notes"]))
