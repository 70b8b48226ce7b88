"""Connecting to a Ray cluster, or starting one of this machine."""

from __future__ import annotations

import logging
import os
import re
import socket
from types import ModuleType
from typing import Any

from srbench.engine.executors.commands import carried
from srbench.engine.executors.machine import cores
from srbench.errors import MissingDependency, UsageError

STORE = 100 * 2**20  # bytes of a local instance's object store, in which nothing is put
REACH = 10.0  # seconds for a cluster to answer at all
_HOST = re.compile(r"(?:ray://)?([^:/]+):(\d+)")


def load_ray() -> ModuleType:
    """Import Ray, which takes a second and is an extra.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependency("the package 'ray' is not installed, and --executor ray needs it",
                                hint="pip install 'srbench[ray]'") from error
    return ray


def connect(ray: ModuleType, address: str) -> None:
    """Connect to a cluster, or start one of this machine; quietly.

    Raises
    ------
    UsageError
        If there is no such cluster, or it takes us not.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if path := carried().get("PYTHONPATH"):  # Ray's own processes find srbench there as well
        options["runtime_env"] = {"env_vars": {"PYTHONPATH": path}}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a benchmark reports to nobody
        options |= {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": STORE}
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    found = _HOST.fullmatch(address)
    try:
        if found:  # Ray itself tries for minutes
            socket.create_connection((found[1], int(found[2])), REACH).close()
        ray.init(address=address, **options)
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        wants_token = any("AuthenticationError" in repr(cause) + str(cause)
                          for cause in (error, error.__cause__))
        raise UsageError(
            f"cannot connect to Ray at {address!r}: {first[0]}",
            hint="the cluster asks for a token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH "
                 "where it is not in ~/.ray/auth_token" if wants_token else
                 "ray start --head on this machine, then --address auto") from error
