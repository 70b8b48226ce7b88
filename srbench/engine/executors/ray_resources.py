"""What a cell asks of a Ray cluster."""

from __future__ import annotations

import logging
import math
from types import ModuleType
from typing import Any

from srbench.engine.executors.machine import UNKNOWN_GIB
from srbench.engine.executors.ray_runner import smallest_gpu
from srbench.errors import UsageError
from srbench.plan import Cell

logger = logging.getLogger(__name__)
GIB = 2**30
PROBE = 120.0  # seconds for a node to tell the memory of its GPUs
SHARE = 10_000  # Ray counts in ten-thousandths of a GPU


class Resources:
    """Turns what cells declare into what Ray is asked for.

    Parameters
    ----------
    ray : module
        Ray, connected to a cluster.
    """

    def __init__(self, ray: ModuleType) -> None:
        self._ray = ray
        self._gpu_gib: float | None = None
        self._warned: set[int] = set()

    def of(self, cell: Cell, *, alone: bool = False, avoid: str = "") -> dict[str, Any]:
        """Options of the actor of a cell.

        They ask for no more than the largest node has: nothing shall wait for ever.

        Parameters
        ----------
        cell : Cell
            What declares its needs.
        alone : bool
            Give it all memory of a node and whole GPUs.
        avoid : str
            Node that it is rather not to have then.

        Raises
        ------
        UsageError
            If it wants a certain GPU.
        """
        on_gpu = cell.device.partition(":")[0] == "cuda"
        if on_gpu and cell.device != "cuda":
            raise UsageError(f"--device {cell.device}: Ray chooses the GPU", hint="--device cuda")
        nodes = self._nodes(cell.ranks if on_gpu else 0)
        most = {name: max((resources.get(name, 0.0) for resources in nodes.values()), default=0.0)
                for name in ("CPU", "memory")}
        cpus = cell.identity.threads * cell.ranks
        memory = (cell.memory_gib or UNKNOWN_GIB) * GIB
        wants: dict[str, Any] = {"num_cpus": min(cpus, most["CPU"] or cpus),
                                 "memory": int(min(memory, most["memory"] or memory))}
        if on_gpu:
            wants["num_gpus"] = cell.ranks if alone else self._gpu_share(cell, nodes)
        if alone and nodes:
            place = max(nodes, key=lambda node: (node != avoid, nodes[node].get("memory", 0.0)))
            wants["memory"] = int(nodes[place].get("memory", wants["memory"]))
            wants["scheduling_strategy"] = self._near(place, soft=True)
        return wants

    def _nodes(self, gpus: int) -> dict[str, dict[str, float]]:
        """Resources of the living nodes with so many GPUs, by id."""
        found = {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}
        fitting = {node: resources for node, resources in found.items()
                   if resources.get("GPU", 0.0) >= gpus}
        if not fitting and gpus not in self._warned:
            self._warned.add(gpus)
            logger.warning("no node of the Ray cluster has %d GPUs: cells wait until one joins",
                           gpus)
        return fitting

    def _gpu_share(self, cell: Cell, nodes: dict[str, dict[str, float]]) -> float:
        """GPUs of a cell: one for each rank, or the part of one that its memory is."""
        if cell.ranks > 1 or not cell.gpu_memory_gib:
            return cell.ranks
        if self._gpu_gib is None:
            probe = self._ray.remote(smallest_gpu)
            answers = [probe.options(num_cpus=0, scheduling_strategy=self._near(node)).remote()
                       for node in nodes]
            self._gpu_gib = min(filter(None, self._ray.get(answers, timeout=PROBE)), default=0.0)
        if not self._gpu_gib:
            return 1
        return min(1.0, math.ceil(SHARE * cell.gpu_memory_gib / self._gpu_gib) / SHARE)

    @staticmethod
    def _near(node: str, *, soft: bool = False) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=soft)
