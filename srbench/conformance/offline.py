"""The network is off while a plugin is tried, and who asks for it is remembered."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from srbench.conformance.watch import hook_once

EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_listening: list[list[str]] = []
_hooked = False


@contextmanager
def offline() -> Iterator[list[str]]:
    """Refuse connections for the body; yields the list of addresses that were asked for.

    srbench's own downloads do not even try (``SRBENCH_OFFLINE``), so that what they would fetch
    counts as data that is not here and not as a plugin that needs the network.
    """
    global _hooked
    if not _hooked:  # a hook stays for good, so it is one that mostly does nothing
        hook_once()  # hooks behind one that refuses are not told
        sys.addaudithook(_refuse)
        _hooked = True
    asked: list[str] = []
    before = os.environ.get("SRBENCH_OFFLINE")
    os.environ["SRBENCH_OFFLINE"] = "1"
    _listening.append(asked)
    try:
        yield asked
    finally:
        _listening.remove(asked)
        if before is None:
            os.environ.pop("SRBENCH_OFFLINE", None)
        else:
            os.environ["SRBENCH_OFFLINE"] = before


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Raise `ConnectionRefusedError` for what would leave the machine."""
    if not _listening or event not in EVENTS:
        return
    local = getattr(socket, "AF_UNIX", None)
    if isinstance(args[0], socket.socket) and args[0].family == local:
        return
    address = args[1] if isinstance(args[0], socket.socket) else args[0]
    for asked in _listening:
        asked.append(str(address))
    raise ConnectionRefusedError(f"no network while a plugin is checked: {address}")
