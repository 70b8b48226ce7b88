"""The record a cell leaves behind: schema version 1, shown in docs/records.md.

A field added later says so: ``Field(..., json_schema_extra={"since": 2})``. Unknown
keys are errors; numbers are JSON numbers, a NaN is null plus a flag; times are UTC in ISO 8601.
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
    method: str = Field(description="name of the method as installed, e.g. wgan-gp")
    dataset: str = Field(description="dataset as asked for, e.g. w2-early")
    title: str = Field(description="dataset as shown, e.g. w2-early@embedded")
    source: str = Field(description="official, embedded, ...")
    notice: str = Field("", description="what a reader must know about the data")
    preset: str = Field(description="quick, paper or code")
    seed: int = Field(description="seed of every stream of random numbers")
    scale: int = Field(description="HR pixels per LR pixel and side: 1 or 4")
    method_given: dict[str, Any] = Field(description="parameters as the user gave them")
    method_params: dict[str, Any] = Field(description="parameters as resolved")
    dataset_given: dict[str, Any] = Field(description="parameters as the user gave them")
    dataset_params: dict[str, Any] = Field(description="parameters as resolved")
    precision: str = Field(description="fp32 or bf16")
    threads: int = Field(description="CPU threads, which decide the last digits")


class Origin(Part):
    """Which code and data made it."""

    method_distribution: str = Field(description="distribution the method came in; file where it "
                                                 "was given with --plugin")
    method_version: str = Field(description="version of that distribution, or the first 12 digits "
                                            "of the file's SHA-256")
    method_digest: str = Field(description="SHA-256 of the method plugin's sources")
    dataset_distribution: str = Field(description="the same of the dataset")
    dataset_version: str = Field(description="the same of the dataset")
    dataset_digest: str = Field(description="SHA-256 of the dataset plugin's sources")
    dataset_fingerprint: str = Field(description="SHA-256 of all that defines P, Q and the test "
                                                 "pairs")
    srbench_version: str = Field(description="version of the harness")
    srbench_digest: str = Field(description="SHA-256 of the harness's sources")


class Outcome(Part):
    """How it ended."""

    status: Status = Field(description="how the cell ended")
    reason: str = Field("", description="why it is not ok, in a sentence")
    exit_detail: str = Field("", description="exit code or signal of the cell's process")
    log: PlainPath = Field("log.txt", description="path of the log beside the record")
    log_tail: list[str] = Field(default_factory=list,
                                description="last lines of the log where not ok")
    flags: list[str] = Field(default_factory=list, description="e.g. nan, saturation, colour-cast")
    notes: list[str] = Field(default_factory=list, description="what a reader must know, e.g. "
                             "which weights stood in, or that images were restored in tiles")
    started: str = Field(description="UTC, ISO 8601")
    finished: str = Field(description="UTC, ISO 8601")


class MetricValue(Part):
    """One metric's value, or why there is none."""

    title: str = Field(description="name as shown, e.g. L2-UVP")
    unit: str = Field("", description="e.g. % or dB; empty for a pure number")
    direction: Literal["lower", "higher", "target"] = Field(
        description="what is better; target: near the value of the HR images in reference")
    decimals: int = Field(3, description="digits after the point where it is shown")
    protocol: str = Field(description="id of the exact definition, see the protocols")
    value: float | None = Field(None, description="over all test images; null where there is none "
                                                  "or it is not finite")
    count: int = Field(0, description="images, patches or pairs it is made of")
    interval: list[float] | None = Field(
        None, description="lower and upper end of the 95 % interval over the test images")
    reference: dict[str, float] = Field(
        default_factory=dict, description="values of the data itself, e.g. of hr and lr")
    detail: dict[str, Any] = Field(default_factory=dict,
                                   description="what the metric adds, e.g. its parts")
    per_image: str | None = Field(None, description="file and column of the per-image values")
    unavailable: str | None = Field(None, description="why there is no value")
    remedy: str | None = Field(None, description="the command that mends it")


class Values(Part):
    """Metrics of the last iterate, and of the iterate chosen by ground truth."""

    final: dict[str, MetricValue] = Field(
        default_factory=dict, description="of the last iterate: the result; by name of the metric")
    oracle: dict[str, MetricValue] = Field(
        default_factory=dict, description="of the iterate that ground truth would have chosen")
    oracle_step: int | None = Field(None, description="step the ground truth would have chosen")
    oracle_looks: int = Field(0, description="how many validations the choice was made from")


class StageCost(Part):
    """What one training stage used."""

    name: str = Field(description="name of the stage; 'outside stages' for the rest")
    steps: int = Field(description="steps finished")
    seconds: float = Field(description="training, without validation and checkpoints")
    images: int = Field(description="LR and HR samples drawn")
    calls: dict[str, int] = Field(description="samples passed through each network")


class Cost(Part):
    """What the cell used; evaluation is excluded from the training clocks."""

    budget: str = Field("", description="budget given by the user, e.g. 600s")
    stages: list[StageCost] = Field(default_factory=list, description="in order; none where "
                                                                     "nothing is trained")
    seconds_fit: float = Field(0.0, description="sum over the stages")
    seconds_restore: float = Field(0.0, description="mapping the test images")
    seconds_measure: float = Field(0.0, description="computing metrics")
    seconds_prepare: float = Field(0.0, description="preparing the dataset")
    parameters: int = Field(0, description="trainable values of the map")
    parameters_beside: int = Field(0, description="trainable values of tracked networks beside it")
    peak_memory_bytes: int = Field(0, description="of the cell's process, or one of its children")
    peak_device_memory_bytes: int | None = Field(None, description="of tensors on a GPU")
    resumes: int = Field(0, description="how often the training went on from a checkpoint")
    processes: int = Field(1, description="processes the training was spread over")
    batchnorm_span: int | None = Field(
        None, description="samples a BatchNorm statistic spans, where that is not the whole batch")


class Artefact(Part):
    """A file beside the record."""

    path: PlainPath = Field(description="relative to the record's folder")
    sha256: str = Field(description="of the file, hex")
    size: int = Field(description="bytes")


class Record(Part):
    """Everything a cell leaves behind, `record.json`."""

    schema_version: Literal[1] = Field(SCHEMA_VERSION, description="version of this schema")
    identity: Identity = Field(description="what was run")
    origin: Origin = Field(description="which code and data made it")
    outcome: Outcome = Field(description="how it ended")
    values: Values = Field(default_factory=Values, description="its metrics")
    cost: Cost = Field(default_factory=Cost, description="what it used")
    facts: dict[str, Any] = Field(
        default_factory=dict, description="numbers of the dataset, e.g. hr_variance, "
        "transport_cost, test_size, test_scenes (Dataset.facts)")
    environment: dict[str, Any] = Field(
        default_factory=dict, description="python, platform, device, cpu, gpu, packages, git, "
        "determinism, energy_joules; no user, host or path")
    artefacts: dict[str, Artefact] = Field(
        default_factory=dict, description="the files beside the record, by path")
