"""The plan of one run: specs x datasets x seeds -> cells with identity keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

import srbench
from srbench.engine.identity import harness_digest, identity_parts, key_of, plugin_digest
from srbench.errors import UnknownName, UsageError
from srbench.results.record import Identity, Origin
from srbench.spec import Spec, expand, label

if TYPE_CHECKING:
    from srbench.api.dataset import Dataset
    from srbench.registry.catalog import Catalog, Entry


class Cell(BaseModel):
    """The unit that runs, fails, resumes and is stored; written to ``cell.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True,
                              ser_json_inf_nan="constants")  # a parameter may be infinite

    identity: Identity
    origin: Origin
    parts: dict[str, Any]
    device: str
    budget: str
    metrics: list[str]
    plugins: list[str]
    checkpoint_seconds: float
    validations: int
    cwd: str = ""
    """Folder the user typed the command in: relative paths among parameters start there."""
    ranks: int = 1
    """Processes one training is spread over, each with a GPU of its own (or on the CPU)."""
    memory_gib: float = 0.0
    """Memory the cell is packed by; 0 is unknown."""
    gpu_memory_gib: float = 0.0
    """GPU memory the cell is packed by; 0 means a whole GPU."""

    @property
    def key(self) -> str:
        """SHA-256 of the cell's identity."""
        return self.identity.key

    @property
    def name(self) -> str:
        """Short text for a person: method, dataset, seed."""
        return f"{self.identity.label} on {self.identity.title}, seed {self.identity.seed}"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for, after parsing.

    Parameters
    ----------
    methods, datasets : list of Spec
        As typed; sweeps inside brackets are already expanded.
    settings : mapping
        ``--set``: values by method or dataset name.
    seeds : list of int
        One cell for each.
    preset, precision, device, budget
        As in the record.
    metrics : list of str
        Names of metrics; empty means all installed.
    """

    methods: list[Spec]
    datasets: list[Spec]
    seeds: list[int]
    preset: str
    precision: str
    device: str
    threads: int
    budget: str = ""
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    checkpoint_seconds: float = 60.0
    validations: int = 10
    ranks: int = 1
    memory_gib: float = 0.0
    gpu_memory_gib: float = 0.0


def make_plan(request: Request, catalog: Catalog, plan_id: str) -> list[Cell]:
    """Expand a request into cells, dataset by dataset, method by method, seed by seed.

    Parameters
    ----------
    request : Request
        What the user asked for.
    catalog : Catalog
        Installed plugins.
    plan_id : str
        Recorded in each cell.

    Returns
    -------
    list of Cell
        Without duplicates: a cell asked for twice is planned once.

    Raises
    ------
    UnknownName, ParameterError, PluginError, DataError
        With the name or value that is wrong and the remedy.
    """
    _check_settings(request, catalog)
    metrics = {name: catalog.metric(name) for name in request.metrics} or dict(catalog.metrics)
    cells: dict[str, Cell] = {}
    for dataset_spec in request.datasets:
        entry = catalog.dataset(dataset_spec.name)
        dataset = open_dataset(entry, dataset_spec, request)
        for spec in request.methods:
            method = catalog.method(spec.name)
            given = {**request.settings.get(spec.name, {}), **spec.given}
            for variant in expand(Spec(spec.name, given), method.info.sweep):
                for seed in request.seeds:
                    cell = _cell(request, method, variant, entry, dataset_spec, dataset, seed,
                                 metrics, catalog, plan_id)
                    cells.setdefault(cell.key, cell)
    return list(cells.values())


def open_dataset(entry: Entry, spec: Spec, request: Request) -> Dataset:
    """Build the dataset a spec names; cheap, nothing is sampled.

    Raises
    ------
    UsageError
        If the user sets a parameter that the dataset's name already fixes.
    """
    given = {**request.settings.get(spec.name, {}), **spec.given}
    for key in entry.info.fixed:
        if key in given:
            raise UsageError(f"{key}={given[key]!r} cannot be set for {spec.name}: "
                             f"the name stands for {key}={entry.info.fixed[key]!r}")
    cls = entry.load()
    params = cls.Params.resolve(request.preset, "", {**entry.info.fixed, **given})
    dataset: Dataset = cls(params, spec.name)
    return dataset


def _check_settings(request: Request, catalog: Catalog) -> None:
    """Refuse ``--set`` for names that take no part in the run."""
    used = {spec.name for spec in [*request.methods, *request.datasets]}
    for name in request.settings:
        if name not in catalog.methods and name not in catalog.datasets:
            raise UnknownName("method or dataset", name, [*catalog.methods, *catalog.datasets])
        if name not in used:
            raise UsageError(f"--set {name}....: {name} takes no part in this run",
                             hint=f"names in this run: {', '.join(sorted(used))}")


def _cell(request: Request, method: Entry, spec: Spec, dataset_entry: Entry, dataset_spec: Spec,
          dataset: Dataset, seed: int, metrics: Mapping[str, Entry], catalog: Catalog,
          plan_id: str) -> Cell:
    """One cell with its identity."""
    cls = method.load()
    params = cls.Params.resolve(request.preset, dataset.problem.domain, spec.given)
    pool = dataset.pool
    origin = Origin(
        method_distribution=method.distribution, method_version=method.version,
        method_digest=plugin_digest(method.info.load),
        dataset_distribution=dataset_entry.distribution, dataset_version=dataset_entry.version,
        dataset_digest=plugin_digest(dataset_entry.info.load),
        dataset_fingerprint=dataset.fingerprint(), srbench_version=srbench.__version__,
        srbench_digest=harness_digest())
    parts = identity_parts(
        method=spec.name, method_params=params.public(), method_digest=origin.method_digest,
        fingerprint=origin.dataset_fingerprint, dataset_digest=origin.dataset_digest,
        pool=None if pool is None else {"size": pool.size, "block": pool.block,
                                        "refresh_every": pool.refresh_every},
        preset=request.preset, seed=seed, precision=request.precision, budget=request.budget,
        protocols=[entry.load().protocol for entry in metrics.values()])
    identity = Identity(
        key=key_of(parts), plan=plan_id, label=label(spec.name, spec.given), method=spec.name,
        dataset=label(dataset_spec.name, dataset_spec.given),
        title=label(dataset.title, {k: v for k, v in dataset_spec.given.items() if k != "source"}),
        source=dataset.source,
        notice=dataset.notice, preset=request.preset, seed=seed, scale=dataset.problem.scale,
        method_given=dict(spec.given), method_params=params.public(),
        dataset_given={**request.settings.get(dataset_spec.name, {}), **dataset_spec.given},
        dataset_params=dataset.params.public(), precision=request.precision,
        threads=request.threads)
    return Cell(identity=identity, origin=origin, parts=parts, device=request.device,
                budget=request.budget, metrics=list(metrics),
                plugins=[str(path) for path in catalog.extra],
                checkpoint_seconds=request.checkpoint_seconds, validations=request.validations,
                cwd=str(Path.cwd()), ranks=request.ranks, memory_gib=request.memory_gib,
                gpu_memory_gib=request.gpu_memory_gib)


def dataset_titles(cells: Iterable[Cell]) -> dict[str, str]:
    """Dataset titles of a plan mapped to their notices, in order."""
    return {cell.identity.title: cell.identity.notice for cell in cells}
