"""The objects a resumed training must find again, and the calls of its networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from srbench.errors import StoreError
from srbench.training.precision import place

METHOD = "method"
MAP = "map"
BatchNorm = nn.modules.batchnorm._BatchNorm


Hook = Callable[[nn.Module, tuple[Any, ...]], None]


class Tracked:
    """Names what a checkpoint holds: the method, networks beside it, optimizers, schedulers.

    Samples passed through the method are counted as ``"map"``, through a tracked network under its
    name, and through a child of the method that ``fit`` calls by itself as ``"map.<child>"``.

    Attributes
    ----------
    objects : dict
        What is tracked, by name.
    spans : dict of str to int
        Fewest samples that networks with BatchNorm saw at once in train mode, by counted name.

    Parameters
    ----------
    method : nn.Module
        The map; it is moved to ``device``.
    device : torch.device
        Where modules go.
    count : callable
        Takes a network's name and a number of samples at every call.
    """

    def __init__(self, method: nn.Module, device: torch.device,
                 count: Callable[[str, int], None]) -> None:
        self._device, self._count = device, count
        self._handles: list[RemovableHandle] = []
        self._inside_map = 0
        self.objects: dict[str, Any] = {}
        self.spans: dict[str, int] = {}
        self._statistics: list[Tensor] | None = None
        place(method, device)
        self.objects[METHOD] = method
        self._own = {id(parameter) for parameter in method.parameters()}
        self.parameters = _trainable(method, set())
        self.parameters_beside = 0
        self._hook_map(method)

    def add(self, name: str, value: Any) -> None:
        """Take ``value`` under ``name``; modules are moved to the device in place.

        Raises
        ------
        ValueError
            If the name is taken or the object cannot be saved.
        """
        if name in self.objects:
            raise ValueError(f"{name!r} is already tracked; give every object a name of its own")
        if not (hasattr(value, "state_dict") and hasattr(value, "load_state_dict")):
            raise ValueError(f"{name}={type(value).__name__} has no state_dict to resume from; "
                             "track modules, optimizers and schedulers")
        if isinstance(value, nn.Module):
            place(value, self._device)
            self._handles.append(value.register_forward_pre_hook(self._counter(name, value)))
            self._statistics = None
            self.parameters_beside += _trainable(value, self._own)
            self._own |= {id(parameter) for parameter in value.parameters()}
        self.objects[name] = value

    def modules(self) -> dict[str, nn.Module]:
        """Return the networks among the objects."""
        return {name: value for name, value in self.objects.items()
                if isinstance(value, nn.Module)}

    @property
    def statistics(self) -> list[Tensor]:
        """Running means and variances of every BatchNorm, each once."""
        if self._statistics is None:
            layers = {id(layer): layer for network in self.modules().values()
                      for layer in network.modules() if isinstance(layer, BatchNorm)}
            self._statistics = [value for layer in layers.values()
                                for value in (layer.running_mean, layer.running_var)
                                if value is not None]
        return self._statistics

    def name_of(self, optimizer: Optimizer) -> str:
        """Return the name ``optimizer`` is tracked by.

        Raises
        ------
        ValueError
            If it is not tracked: a resumed training would lose its state.
        """
        for name, value in self.objects.items():
            if value is optimizer:
                return name
        raise ValueError(f"minimize was given a {type(optimizer).__name__} that is not tracked; "
                         "pass it through training.track(optimizer=...) first")

    def states(self) -> dict[str, Any]:
        """Return the state of every object by name."""
        return {name: value.state_dict() for name, value in self.objects.items()}

    def load(self, states: dict[str, Any]) -> None:
        """Restore the objects that are tracked by now: modules first, optimizers behind them."""
        known = [name for name in self.objects if name in states]
        for name in sorted(known, key=lambda name: not isinstance(self.objects[name], nn.Module)):
            self.load_one(name, states[name])

    def load_one(self, name: str, state: Any) -> None:
        """Restore the object ``name``.

        Raises
        ------
        StoreError
            If the state does not fit the object.
        """
        try:
            self.objects[name].load_state_dict(state)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"the checkpoint does not fit {name!r}: {error}",
                             hint="delete the cell's checkpoint folder to start it again"
                             ) from error

    def agree(self, names: set[str]) -> None:
        """Check that the checkpoint holds what is tracked.

        Raises
        ------
        StoreError
            If a name is in one of them only.
        """
        missing, extra = sorted(set(self.objects) - names), sorted(names - set(self.objects))
        if missing or extra:
            parts = [f"{', '.join(missing)} not in the checkpoint"] if missing else []
            parts += [f"{', '.join(extra)} not tracked"] if extra else []
            raise StoreError("the checkpoint is of other objects: " + "; ".join(parts),
                             hint="delete the cell's checkpoint folder to start it again")

    def release(self) -> None:
        """Take the counting hooks off the networks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook_map(self, method: nn.Module) -> None:
        count = self._counter(MAP, method)

        def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            count(module, inputs)
            self._inside_map += 1

        def leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self._inside_map = max(0, self._inside_map - 1)

        self._handles.append(method.register_forward_pre_hook(enter))
        self._handles.append(method.register_forward_hook(leave, always_call=True))
        for name, child in method.named_children():
            self._handles.append(child.register_forward_pre_hook(self._child_counter(name, child)))

    def _child_counter(self, name: str, child: nn.Module) -> Hook:
        count = self._counter(f"{MAP}.{name}", child)

        def count_alone(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if not self._inside_map and all(module is not value for value in self.objects.values()):
                count(module, inputs)

        return count_alone

    def _counter(self, name: str, network: nn.Module) -> Hook:
        spans = any(isinstance(layer, BatchNorm) for layer in network.modules())

        def count(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            number = _batch(inputs)
            self._count(name, number)
            if spans and module.training and number:
                self.spans[name] = min(number, self.spans.get(name, number))

        return count


def _batch(inputs: tuple[Any, ...]) -> int:
    """Return the batch size of a call's first tensor."""
    for value in inputs:
        if isinstance(value, Tensor) and value.dim():
            return int(value.shape[0])
    return 0


def _trainable(module: nn.Module, known: set[int]) -> int:
    """Count the trainable values of ``module`` that are not in ``known``."""
    return sum(parameter.numel() for parameter in module.parameters()
               if parameter.requires_grad and id(parameter) not in known)
