"""The plan of one run: specs x datasets x seeds -> cells with identity keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

import srbench
from srbench.engine.identity import Code, CodeReader, Plugin, identity_parts, key_of
from srbench.errors import MissingDependency, PluginError, UnknownName, UsageError
from srbench.paths import user_path
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
    """What the key is a hash of, see `srbench.engine.identity`."""
    code: dict[str, dict[str, str]] = Field(default_factory=dict)
    """By part of the key the digest of each file, so that a difference can be named."""
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
    planner = _Planner(request, catalog, plan_id)
    cells: dict[str, Cell] = {}
    for dataset_spec in request.datasets:
        opened = planner.open(dataset_spec)
        for spec in request.methods:
            method = catalog.method(spec.name)
            given = {**request.settings.get(spec.name, {}), **spec.given}
            for variant in expand(Spec(spec.name, given), method.info.sweep):
                for cell in planner.cells(method, variant, opened):
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


@dataclass(frozen=True)
class _Opened:
    """A dataset of the plan, with what each of its cells repeats of it."""

    spec: Spec
    entry: Entry
    dataset: Dataset
    identity: dict[str, Any]
    fingerprint: str
    pool: dict[str, int] | None


class _Planner:
    """Makes cells; what the cells of a plan have in common is worked out once."""

    def __init__(self, request: Request, catalog: Catalog, plan_id: str) -> None:
        self._request, self._catalog = request, catalog
        metrics = {name: catalog.metric(name) for name in request.metrics} or catalog.metrics
        self._metrics = [_plugin(entry) for entry in metrics.values()]
        self._protocols = {name: entry.load().protocol for name, entry in metrics.items()}
        self._reader = CodeReader()
        self._codes: dict[tuple[Plugin, Plugin], Code] = {}
        self._common: dict[str, Any] = {
            "device": request.device, "budget": request.budget, "metrics": list(metrics),
            "plugins": [str(path) for path in catalog.extra],
            "checkpoint_seconds": request.checkpoint_seconds,
            "validations": request.validations, "cwd": str(user_path("")),
            "gpu_memory_gib": request.gpu_memory_gib}
        self._named: dict[str, Any] = {
            "plan": plan_id, "preset": request.preset, "precision": request.precision,
            "threads": request.threads}

    def open(self, spec: Spec) -> _Opened:
        """Open the dataset a spec names."""
        entry = self._catalog.dataset(spec.name)
        dataset = open_dataset(entry, spec, self._request)
        pool = dataset.pool
        shown = {key: value for key, value in spec.given.items() if key != "source"}
        identity = {
            "dataset": label(spec.name, spec.given), "title": label(dataset.title, shown),
            "source": dataset.source, "notice": dataset.notice, "scale": dataset.problem.scale,
            "dataset_given": {**self._request.settings.get(spec.name, {}), **spec.given},
            "dataset_params": dataset.params.public()}
        return _Opened(spec, entry, dataset, identity, dataset.fingerprint(),
                       None if pool is None else {"size": pool.size, "block": pool.block,
                                                  "refresh_every": pool.refresh_every})

    def cells(self, method: Entry, spec: Spec, opened: _Opened) -> Iterator[Cell]:
        """Yield the cells of a method on a dataset, seed by seed."""
        request = self._request
        params, ranks = self._resolve(method, spec, opened)
        code = self._code(method, opened.entry)
        parts = identity_parts(
            method=spec.name, method_params=params,
            dataset_params=opened.identity["dataset_params"], fingerprint=opened.fingerprint,
            pool=opened.pool, preset=request.preset, seed=0, precision=request.precision,
            budget=request.budget, protocols=self._protocols, validations=request.validations,
            threads=request.threads, ranks=ranks, code=code)
        first: Cell | None = None
        for seed in request.seeds:
            parts = {**parts, "seed": seed}
            key = key_of(parts)
            if first is None:
                identity = Identity(
                    **self._named, **opened.identity, key=key, seed=seed, method=spec.name,
                    label=label(spec.name, spec.given), method_given=dict(spec.given),
                    method_params=params)
                first = Cell(identity=identity, origin=_origin(method, opened, code), parts=parts,
                             code=code.files, memory_gib=self._memory(method), ranks=ranks,
                             **self._common)
                yield first
                continue
            # The other seeds share what was validated for the first: plans may be long.
            identity = first.identity.model_copy(update={"key": key, "seed": seed})
            yield first.model_copy(update={"identity": identity, "parts": parts})

    def _resolve(self, method: Entry, spec: Spec, opened: _Opened) -> tuple[dict[str, Any], int]:
        """Resolved parameters of a method, and the number of processes it is trained by.

        A method that cannot be imported is planned with the parameters as given, so that its cells
        leave a record that says why and the others run.
        """
        try:
            kind = method.load()
        except (MissingDependency, PluginError):
            return dict(spec.given), 1
        try:
            params: dict[str, Any] = kind.Params.resolve(
                self._request.preset, opened.dataset.problem.domain, spec.given).public()
        except UsageError as error:  # of one method among several: it is told which
            error.message = f"{spec.name}: {error.message}"
            raise
        return params, self._request.ranks if kind.distributed else 1

    def _memory(self, method: Entry) -> float:
        """Memory to pack a cell by: the user's word, else the plugin's."""
        says: Mapping[str, float] = method.info.memory_gib
        return self._request.memory_gib or says.get(self._request.preset, 0.0)

    def _code(self, method: Entry, dataset: Entry) -> Code:
        pair = _plugin(method), _plugin(dataset)
        if pair not in self._codes:
            self._codes[pair] = self._reader.code(*pair, self._metrics)
        return self._codes[pair]


def _plugin(entry: Entry) -> Plugin:
    return Plugin(entry.info.load, entry.distribution)


def _origin(method: Entry, opened: _Opened, code: Code) -> Origin:
    """Where the code and the data of a cell come from."""
    return Origin(
        method_distribution=method.distribution, method_version=method.version,
        method_digest=code.digests["method_code"],
        dataset_distribution=opened.entry.distribution, dataset_version=opened.entry.version,
        dataset_digest=code.digests["dataset_code"], dataset_fingerprint=opened.fingerprint,
        srbench_version=srbench.__version__, srbench_digest=code.digests["srbench_code"])


def dataset_titles(cells: Iterable[Cell]) -> dict[str, str]:
    """Dataset titles of a plan mapped to their notices, in order."""
    return {cell.identity.title: cell.identity.notice for cell in cells}
