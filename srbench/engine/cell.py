"""One cell: open dataset, build, fit, evaluate, commit the record.

`srbench.engine.worker` runs it in a process of its own.
"""

from __future__ import annotations

import json
import logging
import signal
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import torch

from srbench.engine.events import EventWriter
from srbench.engine.footprint import Footprint
from srbench.engine.outcome import classify
from srbench.errors import SrbenchError
from srbench.evaluation.evaluate import Evaluation, evaluate, validation_scores
from srbench.plan import Cell
from srbench.registry.catalog import Catalog, discover
from srbench.results.artefacts import keep_evaluation, list_artefacts
from srbench.results.energy import Energy
from srbench.results.environment import environment, peak_device_memory, peak_memory
from srbench.results.record import Cost, Outcome, Record, Status, Values
from srbench.results.store import Store
from srbench.training.budget import Budget
from srbench.training.distributed import joined, own_device, own_rank
from srbench.training.result import TrainingResult
from srbench.training.seeding import seed_everything
from srbench.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable

    from srbench.api.dataset import Dataset
    from srbench.api.method import Method

logger = logging.getLogger(__name__)
EVALUATION_BATCH = 64  # part of the protocol: features of some devices depend on the batch size


class StopFlag:
    """Set by SIGTERM or SIGINT; training asks it at every step boundary."""

    def __init__(self) -> None:
        self.is_set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True

    def __call__(self) -> bool:
        """Tell whether the cell was asked to stop."""
        return self.is_set


def run_cell(folder: Path, emit: EventWriter) -> Record:
    """Run the cell described in ``folder/cell.json`` and commit its record.

    Parameters
    ----------
    folder : Path
        ``runs/cells/<key>``.
    emit : EventWriter
        Receives phase, progress and validation events.

    Returns
    -------
    Record
        As committed; its status says how the cell ended. Of several processes that train together
        the first alone commits.
    """
    cell = Cell.model_validate_json((folder / "cell.json").read_text(encoding="utf-8"))
    started, energy = _now(), Energy.of(torch.device(cell.device))
    draft = Record(identity=cell.identity, origin=cell.origin,
                   outcome=Outcome(status=Status.OK, started=started, finished=started))
    try:
        _fill(draft, cell, folder, emit)
    except BaseException as error:  # whatever a plugin raises becomes the cell's status
        status, reason = classify(error)
        if own_rank() and status is not Status.INTERRUPTED:
            raise  # rank 0 need not wait for this process: its exit code tells the job
        traceback.print_exc()
        draft.outcome.status, draft.outcome.reason = status, reason
    if own_rank():  # its part was to train; rank 0 leaves the record
        return draft
    draft.environment = environment(cell.device, Path(cell.cwd), energy)
    draft.cost.peak_memory_bytes = peak_memory()
    draft.cost.peak_device_memory_bytes = peak_device_memory(torch.device(cell.device))
    draft.outcome.finished = _now()
    draft.artefacts = list_artefacts(folder)
    store = Store.of_cell(folder)
    if draft.outcome.status is Status.INTERRUPTED and (old := store.read(cell.key)) is not None \
            and old.outcome.status is Status.OK:
        return draft  # a rerun that was interrupted loses nothing that was finished
    store.commit(draft)
    return draft


def _fill(record: Record, cell: Cell, folder: Path, emit: EventWriter) -> None:
    """The straight line of a cell; results go into ``record``."""
    stop = StopFlag()
    device = own_device(torch.device(cell.device))
    torch.set_num_threads(cell.identity.threads)
    catalog = discover([Path(path) for path in cell.plugins])

    emit({"event": "phase", "phase": "prepare"})
    clock = time.perf_counter()
    dataset = _open_dataset(catalog, cell)
    dataset.prepare(device)
    seed_everything(cell.identity.seed)
    footprint = Footprint(folder / "work")
    method = _build_method(catalog, cell, dataset).to(device)
    record.cost.seconds_prepare = time.perf_counter() - clock

    emit({"event": "phase", "phase": "fit"})
    with joined(device) as ranks:
        training = Training(
            method, dataset, seed=cell.identity.seed, device=device,
            precision=cell.identity.precision, folder=folder,
            budget=Budget.parse(cell.budget) if cell.budget else None,
            checkpoint_seconds=cell.checkpoint_seconds,
            validate=_validation(dataset, device),
            oracle_direction="lower" if dataset.known_map else "higher",
            validations=cell.validations, on_event=emit, should_stop=stop, ranks=ranks)
        method.fit(training)
        fitted = training.finish()
    if not ranks.is_first:
        return
    record.outcome.notes = [*method.notes(), *footprint.undo()]

    emit({"event": "phase", "phase": "evaluate"})
    record.facts = dataset.facts()
    evaluation = _evaluate(method, dataset, catalog, cell, device, emit)
    keep_evaluation(folder, evaluation)
    record.values = Values(final=evaluation.values, oracle_step=fitted.oracle_step,
                           oracle_looks=fitted.oracle_looks)
    record.outcome.flags = evaluation.flags
    if evaluation.diverged:
        record.outcome.status, record.outcome.reason = Status.DIVERGED, evaluation.diverged
    record.outcome.notes += evaluation.notes
    if fitted.oracle_state is not None:
        method.load_state_dict(fitted.oracle_state)
        record.values.oracle = _evaluate(method, dataset, catalog, cell, device, emit).values
    record.cost = _cost(record.cost, cell, fitted, evaluation)


def _validation(dataset: Dataset,
                device: torch.device) -> Callable[[Method], dict[str, float]] | None:
    """Return what scores a method on the validation pairs, where there are any."""
    if not dataset.has_validation:
        return None
    return lambda candidate: validation_scores(candidate, dataset, device=device,
                                               batch_size=EVALUATION_BATCH)


def _open_dataset(catalog: Catalog, cell: Cell) -> Dataset:
    """Build the dataset from the resolved parameters of the cell.

    Raises
    ------
    SrbenchError
        If it is no longer the data the plan was made with.
    """
    spec_name = cell.identity.dataset.partition("[")[0]
    cls = catalog.dataset(spec_name).load()
    params = cls.Params.model_validate_json(json.dumps(cell.identity.dataset_params))
    dataset: Dataset = cls(params, spec_name)
    found, planned = dataset.fingerprint(), cell.origin.dataset_fingerprint
    if found != planned:
        raise SrbenchError(f"{dataset.title} changed since the plan was made: fingerprint "
                           f"{found[:12]} instead of {planned[:12]}", hint="start the run again")
    return dataset


def _build_method(catalog: Catalog, cell: Cell, dataset: Dataset) -> Method:
    """Build the method from the resolved parameters of the cell."""
    cls = catalog.method(cell.identity.method).load()
    params = cls.Params.model_validate_json(json.dumps(cell.identity.method_params))
    method: Method = cls(params, dataset.problem)
    return method


def _evaluate(method: Method, dataset: Dataset, catalog: Catalog, cell: Cell,
              device: torch.device, emit: EventWriter) -> Evaluation:
    """Score the map on the test images with the metrics of the cell."""
    metrics = {name: catalog.metric(name) for name in cell.metrics}

    def on_progress(done: int, total: int) -> None:
        emit({"event": "progress", "stage": "evaluate", "step": done, "steps": total})

    return evaluate(method, dataset, metrics, device=device, batch_size=EVALUATION_BATCH,
                    on_progress=on_progress)


def _cost(cost: Cost, cell: Cell, fitted: TrainingResult, evaluation: Evaluation) -> Cost:
    """Collect what the cell used; the oracle's evaluation is not charged."""
    return Cost(
        budget=cell.budget, stages=fitted.stages,
        seconds_fit=sum(stage.seconds for stage in fitted.stages),
        seconds_restore=evaluation.seconds_restore, seconds_measure=evaluation.seconds_measure,
        seconds_prepare=cost.seconds_prepare, parameters=fitted.parameters,
        parameters_beside=fitted.parameters_beside, resumes=fitted.resumes, processes=fitted.world,
        batchnorm_span=fitted.batchnorm_span if fitted.world > 1 else None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
