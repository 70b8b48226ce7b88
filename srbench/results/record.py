"""The record a cell leaves behind: schema version 1.

Unknown keys are errors; numbers are JSON numbers, a NaN is null plus a flag; times are UTC in
ISO 8601.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from srbench.foreign.paths import plain_path

SCHEMA_VERSION: Final = 1
PlainPath = Annotated[str, AfterValidator(plain_path)]


class Status(StrEnum):
    """How a cell ended. Every planned cell has one."""

    OK = "ok"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OOM = "oom"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    MISSING_DEPENDENCY = "missing-dependency"


class Part(BaseModel):
    """Base of the record's groups."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Identity(Part):
    """What was run; the key is a hash of it."""

    key: str = Field(description="SHA-256 (hex) of the cell's identity")
    plan: str = Field(description="id of the plan the cell first ran in")
    label: str = Field(description="method as shown, e.g. wgan-gp[lambda=100]")
    method: str
    dataset: str = Field(description="dataset as asked for, e.g. w2-early")
    title: str = Field(description="dataset as shown, e.g. w2-early@embedded")
    source: str = Field(description="official, embedded, ...")
    notice: str = Field("", description="what a reader must know about the data")
    preset: str
    seed: int
    scale: int
    method_given: dict[str, Any] = Field(description="parameters as the user gave them")
    method_params: dict[str, Any] = Field(description="parameters as resolved")
    dataset_given: dict[str, Any]
    dataset_params: dict[str, Any]
    precision: str
    threads: int


class Origin(Part):
    """Which code and data made it."""

    method_distribution: str
    method_version: str
    method_digest: str = Field(description="SHA-256 of the method plugin's sources")
    dataset_distribution: str
    dataset_version: str
    dataset_digest: str
    dataset_fingerprint: str
    srbench_version: str
    srbench_digest: str = Field(description="SHA-256 of the harness's sources")


class Outcome(Part):
    """How it ended."""

    status: Status
    reason: str = ""
    exit_detail: str = Field("", description="exit code or signal of the cell's process")
    log: PlainPath = Field("log.txt", description="path of the log beside the record")
    log_tail: list[str] = Field(default_factory=list,
                                description="last lines of the log where not ok")
    flags: list[str] = Field(default_factory=list, description="e.g. nan, saturation, colour-cast")
    notes: list[str] = Field(default_factory=list, description="what a reader must know, e.g. "
                             "which weights stood in, or that images were restored in tiles")
    started: str = Field(description="UTC, ISO 8601")
    finished: str


class MetricValue(Part):
    """One metric's value, or why there is none."""

    title: str
    unit: str = ""
    direction: Literal["lower", "higher", "target"]
    decimals: int = 3
    protocol: str
    value: float | None = None
    count: int = 0
    interval: list[float] | None = None
    reference: dict[str, float] = Field(default_factory=dict)
    detail: dict[str, Any] = Field(default_factory=dict)
    per_image: str | None = Field(None, description="file and column of the per-image values")
    unavailable: str | None = Field(None, description="why there is no value")
    remedy: str | None = Field(None, description="the command that mends it")


class Values(Part):
    """Metrics of the last iterate, and of the iterate chosen by ground truth."""

    final: dict[str, MetricValue] = Field(default_factory=dict)
    oracle: dict[str, MetricValue] = Field(default_factory=dict)
    oracle_step: int | None = Field(None, description="step the ground truth would have chosen")
    oracle_looks: int = Field(0, description="how many validations the choice was made from")


class StageCost(Part):
    """What one training stage used."""

    name: str
    steps: int
    seconds: float
    images: int = Field(description="LR and HR samples drawn")
    calls: dict[str, int] = Field(description="samples passed through each network")


class Cost(Part):
    """What the cell used; evaluation is excluded from the training clocks."""

    budget: str = Field("", description="budget given by the user, e.g. 600s")
    stages: list[StageCost] = Field(default_factory=list)
    seconds_fit: float = 0.0
    seconds_restore: float = Field(0.0, description="mapping the test images")
    seconds_measure: float = Field(0.0, description="computing metrics")
    seconds_prepare: float = Field(0.0, description="preparing the dataset")
    parameters: int = Field(0, description="trainable values of the map")
    parameters_beside: int = Field(0, description="trainable values of tracked networks beside it")
    peak_memory_bytes: int = 0
    peak_device_memory_bytes: int | None = None
    resumes: int = 0
    processes: int = Field(1, description="processes the training was spread over")
    batchnorm_span: int | None = Field(
        None, description="samples a BatchNorm statistic spans, where that is not the whole batch")


class Artefact(Part):
    """A file beside the record."""

    path: PlainPath
    sha256: str
    size: int


class Record(Part):
    """Everything a cell leaves behind, `record.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    identity: Identity
    origin: Origin
    outcome: Outcome
    values: Values = Field(default_factory=Values)
    cost: Cost = Field(default_factory=Cost)
    facts: dict[str, Any] = Field(default_factory=dict, description="Dataset.facts of the run")
    environment: dict[str, Any] = Field(default_factory=dict)
    artefacts: dict[str, Artefact] = Field(default_factory=dict)
