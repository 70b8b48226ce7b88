"""Joining the other processes of a training, each of which has a device of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from srbench.errors import RankFailure
from srbench.training.group import GO_ON, Group
from srbench.training.ranks import ALONE, Ranks

RANK, WORLD, RENDEZVOUS = "SRBENCH_RANK", "SRBENCH_WORLD", "SRBENCH_RENDEZVOUS"
TIMEOUT, DEFAULT_TIMEOUT = "SRBENCH_RANK_TIMEOUT", "600"
LEAVING_SECONDS = 5.0  # taking leave of a process that is gone may never end


def own_rank() -> int:
    """Return the number of this process among those of its cell."""
    return int(os.environ.get(RANK, "0"))


def own_device(device: torch.device) -> torch.device:
    """Return the device of this process: of several visible GPUs the one with its rank's number.

    Where each process sees one GPU only, or there is one process, that is ``device``.
    """
    if device.type != "cuda" or int(os.environ.get(WORLD, "1")) == 1 or device.index is not None:
        return device
    return torch.device("cuda", own_rank() % torch.cuda.device_count())


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the other processes of the cell, which the environment names, for the body.

    Parameters
    ----------
    device : torch.device
        Of this process. Gradients go by gloo on the CPU and by NCCL on CUDA; what is agreed on at
        the end of a step goes by gloo.

    Yields
    ------
    Ranks
        For `Training`; `ALONE` where the cell has one process.

    Raises
    ------
    RankFailure
        If the others do not come within ``SRBENCH_RANK_TIMEOUT`` seconds.
    """
    if int(os.environ.get(WORLD, "1")) == 1:
        yield ALONE
        return
    timeout = float(os.environ.get(TIMEOUT, DEFAULT_TIMEOUT))
    try:
        group = Group(_connect(device, timeout), timeout)
        yield group
        group.everywhere(flag=True)  # nobody leaves while another still needs it
    finally:
        leaving = threading.Thread(target=_leave, daemon=True)
        leaving.start()
        leaving.join(LEAVING_SECONDS)


def _connect(device: torch.device, timeout: float) -> dist.ProcessGroup:
    """Form the default group on the device and return a group on the host."""
    rank, world = own_rank(), int(os.environ[WORLD])
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    limit = timedelta(seconds=timeout)
    try:
        # NCCL ends the process when its time is up, so the host's group is first to notice.
        dist.init_process_group(
            "nccl" if on_gpu else "gloo", init_method=f"file://{os.environ[RENDEZVOUS]}",
            rank=rank, world_size=world, timeout=2 * limit if on_gpu else limit)
        host = dist.new_group(backend="gloo", timeout=limit) if on_gpu else dist.group.WORLD
    except RuntimeError as error:
        raise RankFailure(f"rank {rank} of {world}: not all ranks came together within "
                          f"{timeout:g} s", hint=GO_ON) from error
    assert isinstance(host, dist.ProcessGroup)  # else this process is no member
    return host


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
