"""What a method does besides its arithmetic: seen while it is built and trained.

Every sighting is kept with the line of the plugin's own code that led to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from srbench.conformance.sightings import (
    NETWORK,
    SEEDS,
    SYNCHRONISING,
    WRITERS,
    WRITES,
    allowed_folders,
    at,
    is_local,
    patched,
    writes,
)

if TYPE_CHECKING:
    from types import FrameType

    from srbench.training.training import Training

_watching: list[Watch] = []
_hooked = False


class Watch:
    """What was seen of one training.

    Parameters
    ----------
    own : frozenset of str
        Top-level packages whose code is the plugin's.

    Attributes
    ----------
    held_out, direct, seeded, synchronised, updates, bypassed, written, asked : dict of str to str
        Places in the plugin's code, and what was done there: taken from the held-out pairs, drawn
        past the harness, seeded, waited for, optimizers stepped outside of steps, networks called
        by their ``forward``, files written outside of the cell's folder, addresses asked for.
    uncounted : dict of str to str
        Places where networks were called that are trained but not tracked.
    drawn : int
        Samples served by `Training.lr` and `Training.hr`.
    steps : int
        Steps of optimizers.
    """

    def __init__(self, own: frozenset[str]) -> None:
        self.own = own
        self.looking = self.inside_dataset = False
        self.training: Training | None = None
        self.drawn = self.steps = 0
        self.held_out: dict[str, str] = {}
        self.direct: dict[str, str] = {}
        self.seeded: dict[str, str] = {}
        self.synchronised: dict[str, str] = {}
        self.updates: dict[str, str] = {}
        self.bypassed: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self.asked: dict[str, str] = {}
        self._called: dict[int, tuple[nn.Module, str]] = {}
        self._trained: set[int] = set()
        self._names: dict[int, str] = {}
        self._classes: set[type] = set()
        self._patches = ExitStack()
        self._allowed = allowed_folders()

    def is_own(self, frame: FrameType | None) -> bool:
        """Whether a frame runs the plugin's own code."""
        return frame is not None and str(
            frame.f_globals.get("__name__", "")).partition(".")[0] in self.own

    def runs_own(self, function: Any) -> bool:
        """Whether a function is the plugin's own."""
        home = getattr(getattr(function, "__func__", function), "__module__", None) or ""
        return home.partition(".")[0] in self.own

    def place(self) -> str:
        """Return ``package/file.py:line`` of the innermost frame of the plugin's own code."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and not self.is_own(frame):
            frame = frame.f_back
        return "" if frame is None else at(frame.f_code.co_filename, frame.f_lineno)

    @property
    def in_step(self) -> bool:
        """Whether a stage is open."""
        return self.training is not None and self.training._session._open is not None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what happens in the body."""
        hook_once()
        with self._patches as stack:
            for name in SYNCHRONISING:
                stack.enter_context(patched(torch.Tensor, name, self._waiting(name)))
            for owner, name in SEEDS:
                stack.enter_context(patched(owner, name, self._seeding(owner.__name__)))
            for owner, name, position in WRITERS:
                stack.enter_context(patched(owner, name, self._writing(position)))
            stack.callback(register_optimizer_step_pre_hook(self._stepping).remove)
            stack.callback(register_module_forward_pre_hook(self._calling).remove)
            _watching.append(self)
            stack.callback(_watching.remove, self)
            self.looking = True
            try:
                yield
            finally:
                self.looking = False

    def follow(self, training: Training, networks: dict[str, nn.Module]) -> None:
        """See which of ``networks`` have their ``forward`` called past the hooks that count."""
        self.training = training
        for name, network in networks.items():
            self._names.setdefault(id(network), name)
            if type(network) not in self._classes:
                self._classes.add(type(network))
                self._patches.enter_context(patched(type(network), "forward", self._forwarding))

    def uncounted(self, counted: list[nn.Module]) -> dict[str, str]:
        """Return places where networks were called that an optimizer moved, but nobody counts."""
        known = {id(part) for network in counted for part in network.modules()}
        return {place: type(network).__name__ for network, place in self._called.values()
                if id(network) not in known
                and any(id(weight) in self._trained for weight in network.parameters())}

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event of Python's audit hooks."""
        if event in NETWORK and not is_local(args):
            self.asked.setdefault(self.place(), str(args[1] if event == "socket.connect"
                                                    else args[0]))
        elif event in WRITES and (event != "open" or writes(args)):
            self.note_write(args[WRITES[event]])

    def note_write(self, path: Any) -> None:
        """Take the path of a file that is written."""
        if not isinstance(path, (str, os.PathLike)):
            return  # a descriptor or an object in memory
        target, place = Path(os.path.realpath(path)), self.place()
        allowed = any(target.is_relative_to(folder) for folder in self._allowed)
        if place and not allowed and "__pycache__" not in target.parts:
            self.written.setdefault(place, str(target))

    def _waiting(self, name: str) -> Callable[..., Callable[..., Any]]:
        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def call(*args: Any, **kwargs: Any) -> Any:
                if self.looking and self.in_step and self.is_own(sys._getframe(1)):
                    self.synchronised.setdefault(self.place(), SYNCHRONISING[name])
                return original(*args, **kwargs)

            return call

        return around

    def _seeding(self, owner: str) -> Callable[..., Callable[..., Any]]:
        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def call(*args: Any, **kwargs: Any) -> Any:
                if self.looking and self.is_own(sys._getframe(1)):
                    self.seeded.setdefault(self.place(), f"{owner}.seed")
                return original(*args, **kwargs)

            return call

        return around

    def _writing(self, position: int) -> Callable[..., Callable[..., Any]]:
        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def call(*args: Any, **kwargs: Any) -> Any:
                if self.looking and len(args) > position:
                    self.note_write(args[position])
                return original(*args, **kwargs)

            return call

        return around

    def _forwarding(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1)
            inherited = caller.f_code.co_name == "forward" and (
                caller.f_locals.get("self") is module)
            name = self._names.get(id(module), "")
            within = name.startswith("map.") and self._inside_map()  # counted as the map's call
            if self.looking and name and self.is_own(caller) and not inherited and not within:
                self.bypassed.setdefault(self.place(), name)
            return original(module, *args, **kwargs)

        return call

    def _inside_map(self) -> bool:
        return self.training is not None and self.training._state.tracked._inside_map > 0

    def _stepping(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self.looking:
            return
        self.steps += 1
        self._trained |= {id(weight) for group in optimizer.param_groups
                          for weight in group["params"]}
        if not self.in_step:
            self.updates.setdefault(self.place(), type(optimizer).__name__)

    def _calling(self, module: nn.Module, inputs: Any) -> None:
        if self.looking and id(module) not in self._called:
            self._called[id(module)] = (module, self.place())


def hook_once() -> None:
    """Install the audit hook; it cannot be taken off, so it does nothing when nobody watches."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching and (event in WRITES or event in NETWORK):
        for watch in _watching:
            if watch.looking:
                watch.audit(event, args)
