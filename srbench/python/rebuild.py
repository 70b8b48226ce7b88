"""A cell's method built anew, with the weights of its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.engine.identity import CodeReader, Plugin
from srbench.errors import CorruptFile, SrbenchError, StoreError, UnknownName
from srbench.evaluation.modes import preserved_randomness
from srbench.files import sha256
from srbench.foreign.paths import plain_file
from srbench.foreign.text import printable
from srbench.paths import typed_in
from srbench.registry.catalog import Catalog, discover
from srbench.training.checkpoint import MANIFEST, read_checkpoint
from srbench.training.precision import place
from srbench.training.seeding import seed_everything
from srbench.training.tracking import METHOD
from srbench.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from srbench.api.dataset import Dataset
    from srbench.api.method import Method
    from srbench.python.cell import CellFolder
    from srbench.registry.catalog import Entry

Rebuilt = tuple["Method", "Dataset", list[str]]


def rebuild(cell: CellFolder, device: torch.device, *, oracle: bool,
            plugins: Sequence[Path] = ()) -> Rebuilt:
    """Build the method of a cell and load its weights.

    Parameters
    ----------
    cell : CellFolder
        Of a cell that is ok.
    device : torch.device
        Where the method goes.
    oracle : bool
        Whether to take the weights of the best validation.
    plugins : sequence of Path
        Plugin files beside the installed ones. None is taken from ``cell.json``: a runs folder may
        be anybody's, and no file that it names is to be run.

    Returns
    -------
    tuple of Method, Dataset and list of str
        The trained method in eval mode, its dataset, and what may make it another map than the
        record's.

    Raises
    ------
    UnknownName, PluginError, MissingDependency, DataError, StoreError
        With what is missing and the remedy.
    """
    described, identity = cell.described(), cell.record.identity
    catalog = discover(plugins)
    entries = _entries(catalog, cell, described.get("plugins") or ())
    state = None if _untrained(cell) and not oracle else _weights(cell, oracle=oracle)
    with typed_in(str(described.get("cwd") or Path.cwd())), preserved_randomness():
        dataset = _dataset(entries[1], cell)
        seed_everything(identity.seed)
        method = _method(entries[0], cell, dataset).to(device)
        if state is None:
            _fit(method, dataset, cell, device)
    place(method, device)  # the layout of a training, which decides last digits
    if state is not None:
        _take(method, state, cell)
    return method.eval(), dataset, _doubts(cell, entries, dataset)


def _entries(catalog: Catalog, cell: CellFolder, files: Sequence[str]) -> tuple[Entry, Entry]:
    """The plugins' entries of method and dataset; ``files`` are the plugin files of the cell."""
    identity, origin = cell.record.identity, cell.record.origin
    try:
        return (catalog.method(identity.method),
                catalog.dataset(identity.dataset.partition("[")[0]))
    except UnknownName as error:
        which = (origin.method_distribution if error.kind == "method"
                 else origin.dataset_distribution)
        named = f"; the cell ran with {', '.join(map(printable, files))}" if files else ""
        hint = (f"name its file with plugins=..., or --plugin{named}" if which == "file"
                else f"pip install {which}")
        if catalog.broken:
            hint += f"; {error.hint}"
        raise UnknownName(error.kind, error.name, (), hint=hint) from error


def _dataset(entry: Entry, cell: CellFolder) -> Dataset:
    cls = entry.load()
    params = cls.Params.model_validate_json(json.dumps(cell.record.identity.dataset_params))
    dataset: Dataset = cls(params, cell.record.identity.dataset.partition("[")[0])
    return dataset


def _method(entry: Entry, cell: CellFolder, dataset: Dataset) -> Method:
    cls = entry.load()
    try:
        params = cls.Params.model_validate_json(json.dumps(cell.record.identity.method_params))
    except ValueError as error:
        raise StoreError(f"the parameters of {cell.record.identity.label} are not those that the "
                         f"installed plugin takes: {str(error).splitlines()[0]}",
                         hint=f"install version {cell.record.origin.method_version} of "
                              f"{cell.record.origin.method_distribution}, or run it again: "
                              f"{cell.again}") from error
    method: Method = cls(params, dataset.problem)
    return method


def _untrained(cell: CellFolder) -> bool:
    """Whether the cell took no training step: nothing was saved, and fitting again is cheap."""
    return not sum(stage.steps for stage in cell.record.cost.stages)


def _fit(method: Method, dataset: Dataset, cell: CellFolder, device: torch.device) -> None:
    """Let a method without training steps do again what it did."""
    if any(stage.images for stage in cell.record.cost.stages):
        dataset.prepare(device)
    training = Training(method, dataset, seed=cell.record.identity.seed, device=device,
                        precision=cell.record.identity.precision, validations=0)
    method.fit(training)
    training.finish()


def _weights(cell: CellFolder, *, oracle: bool) -> dict[str, Any]:
    """State of the method from the checkpoint that the record names."""
    key = cell.record.identity.key[:10]
    if _untrained(cell):
        raise StoreError(f"the cell {key} took no training step, so it has no oracle",
                         hint="leave oracle out")
    names = sorted(name for name in cell.record.artefacts
                   if name.startswith("checkpoint/") and name.endswith(f"/{MANIFEST}"))
    if not names or not _there(cell.folder, names[-1]):
        published = "" if cell.described() else \
            ": published records and records alone come without their weights"
        raise StoreError(f"the cell {key} has no checkpoint in {cell.folder}{published}",
                         hint=f"train it again: {cell.again} --rerun")
    manifest = cell.folder / names[-1]
    if sha256(manifest) != cell.record.artefacts[names[-1]].sha256:
        raise StoreError(f"the checkpoint in {manifest.parent} is not the one that the record of "
                         f"{key} was made with", hint=f"train it again: {cell.again} --rerun")
    try:
        checkpoint = read_checkpoint(manifest.parent)
    except (CorruptFile, OSError) as error:
        raise StoreError(f"the checkpoint of {key} cannot be used: {error}",
                         hint=f"train it again: {cell.again} --rerun") from error
    if not oracle:
        state: dict[str, Any] = checkpoint["objects"][METHOD]
        return state
    chosen: dict[str, Any] | None = checkpoint["oracle"]["state"]
    if chosen is None:
        raise StoreError(f"the cell {key} was never validated, so it has no oracle",
                         hint="leave oracle out")
    return chosen


def _there(folder: Path, name: str) -> bool:
    """Whether a file of a record is there, reached through no link."""
    try:
        return plain_file(folder, name).is_file()
    except StoreError:
        return False


def _take(method: Method, state: dict[str, Any], cell: CellFolder) -> None:
    """Give a method its weights; every name and shape must fit."""
    try:
        method.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError) as error:
        what = "; ".join(line.strip() for line in str(error).splitlines()[1:3]) or str(error)
        raise StoreError(f"the weights of {cell.record.identity.label} do not fit the installed "
                         f"plugin: {what}", hint=f"run it again: {cell.again} --rerun") from error


def _doubts(cell: CellFolder, entries: tuple[Entry, Entry], dataset: Dataset) -> list[str]:
    """What changed since the cell ran."""
    record, doubts = cell.record, []
    plugins = [Plugin(entry.info.load, entry.distribution) for entry in entries]
    try:
        code = CodeReader().code(plugins[0], plugins[1], [])
        if code.digests["method_code"] != record.origin.method_digest:
            doubts.append(f"the code of {record.identity.method} changed since the cell "
                          f"{record.identity.key[:10]} ran: the map may be another one")
        if dataset.fingerprint() != record.origin.dataset_fingerprint:
            doubts.append(f"the data of {record.identity.title} changed since the cell "
                          f"{record.identity.key[:10]} ran")
    except SrbenchError as error:
        doubts.append(f"whether code and data are those of the cell is not known: {error.message}")
    return doubts
