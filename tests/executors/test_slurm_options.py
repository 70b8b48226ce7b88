"""What the words of --slurm and a cell's needs become in a job's script."""

from __future__ import annotations

import pytest

from srbench.engine.executors.slurm_options import LIMIT, MARGIN, SlurmOptions, minutes, parameters
from srbench.errors import UnknownName, UsageError
from tests.engine.cells import make_cell


def of(*options: str, timeout: float | None = None, alone: bool = False, threads: int = 1,
       **cell):
    changed = make_cell("ok", threads=threads).model_copy(update=cell)
    return parameters(changed, SlurmOptions.parse(options), timeout, alone=alone)


@pytest.mark.parametrize(("text", "expected"), [
    ("600", 600), ("90:30", 91), ("4:00:00", 240), ("00:01:30", 2), ("1-0", 1440),
    ("1-12:00", 2160), ("2-00:00:01", 2881)])
def test_times_are_read_as_slurm_reads_them(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["soon", "0", "0:30", "-5", "1:2:3:4", "1.5", "4h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match=f"time={text}"):
        minutes(text)


def test_by_default_a_job_has_hours_and_what_its_cell_says():
    asked = of(threads=4, ranks=2)
    assert asked["timeout_min"] == LIMIT
    assert asked["cpus_per_task"] == 8
    assert asked["slurm_srun_args"] == ["--cpus-per-task=8"]
    assert asked["slurm_additional_parameters"] == {"requeue": True}
    assert asked.keys().isdisjoint({"gpus_per_node", "slurm_mem", "slurm_partition"})


def test_the_time_limit_of_a_cell_gives_that_of_its_job_a_margin():
    assert of(timeout=3600.0)["timeout_min"] == 60 + MARGIN
    assert of("time=30", timeout=3600.0)["timeout_min"] == 30
    assert of("timeout_min=30")["timeout_min"] == 30


def test_gpus_are_those_of_the_ranks_unless_the_user_says():
    assert of(device="cuda", ranks=4)["gpus_per_node"] == 4
    named = of("gres=gpu:a100:2", device="cuda", ranks=2)
    assert "gpus_per_node" not in named
    assert named["slurm_gres"] == "gpu:a100:2"
    assert of("gpus_per_node=8", device="cuda")["gpus_per_node"] == 8
    assert "gpus_per_node" not in of("gpus=2", device="cuda")


def test_memory_is_what_the_cell_says_unless_the_user_does():
    assert of(memory_gib=1.5)["slurm_mem"] == "1536M"
    assert of("mem_gb=3", memory_gib=1.5)["slurm_mem"] == "3072M"
    per_cpu = of("mem-per-cpu=2G", memory_gib=1.5)
    assert per_cpu["slurm_mem_per_cpu"] == "2G"
    assert "slurm_mem" not in per_cpu


def test_a_cell_alone_has_a_node_and_all_its_memory():
    alone = of("mem_per_cpu=2G", alone=True, memory_gib=1.5)
    assert alone["slurm_exclusive"] is True
    assert alone["slurm_mem"] == "0"
    assert "slurm_mem_per_cpu" not in alone


def test_every_spelling_of_a_name_and_what_only_sbatch_knows():
    asked = of("slurm_partition=gpu", "--mail-type=END", "reservation=mine", "nice=10",
               "setup=module load cuda", "setup=ulimit -c 0", "exclusive=user")
    assert asked["slurm_partition"] == "gpu"
    assert asked["slurm_mail_type"] == "END"
    assert asked["slurm_setup"] == ["module load cuda", "ulimit -c 0"]
    assert asked["slurm_exclusive"] == "user"
    assert asked["slurm_additional_parameters"] == {"reservation": "mine", "nice": 10,
                                                    "requeue": True}


@pytest.mark.parametrize(("option", "words"), [
    ("partition", "no KEY=VALUE"), ("partition=", "no KEY=VALUE"),
    ("cpus_per_task=two", "must be a whole number"), ("mem_gb=lots", "a number of GiB"),
    ("array=0-9", "every cell is a job of its own"), ("nodes=2", "a cell runs on one node"),
    ("signal=USR1@60", "use signal_delay_s"), ("stderr_to_stdout=no", "is a flag"),
    ("use_srun=false", "signals")])
def test_what_cannot_be_is_refused_with_the_reason(option, words):
    with pytest.raises(UsageError, match=words):
        SlurmOptions.parse([option])


@pytest.mark.parametrize(("option", "words"), [
    ("partiton=gpu", "did you mean 'partition'"), ("cluster=ray", "known: debug, local, slurm")])
def test_what_is_not_known_is_refused_with_what_is(option, words):
    with pytest.raises(UnknownName) as error:
        SlurmOptions.parse([option])
    assert words in str(error.value)


def test_submitit_takes_every_option(tmp_path, slurm):
    submitit = pytest.importorskip("submitit", reason="srbench[slurm] is not installed")
    executor = submitit.AutoExecutor(tmp_path / "%j", cluster="slurm")
    executor.update_parameters(**of(
        "partition=a", "account=b", "qos=c", "constraint=d", "exclude=e", "nodelist=f",
        "comment=g", "mail_user=h", "dependency=i", "wckey=j", "teardown=true", "srun_args=-l",
        "gpus_per_task=1", "cpus_per_gpu=2", "stderr_to_stdout=true", "licenses=k",
        "cpus_per_task=2", "signal_delay_s=60", alone=True, device="cuda"))
    assert executor.parameters is not None
