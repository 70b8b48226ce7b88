"""What one plugin provides, read in a plugin manager of its own that is thrown away after."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import ModuleType
from typing import TYPE_CHECKING

import pluggy

from srbench.errors import PluginError
from srbench.registry import hookspecs
from srbench.registry.infos import DatasetInfo, MethodInfo, MetricInfo, PluginInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from srbench.registry.sources import Source

PROVIDES: dict[str, tuple[str, type[PluginInfo]]] = {
    "srbench_methods": ("method", MethodInfo),
    "srbench_datasets": ("dataset", DatasetInfo),
    "srbench_metrics": ("metric", MetricInfo),
}
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_"))
"""Every hook: those that list what a plugin provides, and the events of `EVENTS`."""
EVENTS = tuple(name for name in HOOKS if name not in PROVIDES)


@dataclass
class Inspection:
    """What was found.

    Parameters
    ----------
    module : module or None
        None if it could not be imported.
    infos : list of PluginInfo
        What its hooks returned, up to the first problem.
    events : tuple of str
        The events it listens to: it is a tracker where there is one.
    problem : str
        Empty for a clean plugin.
    """

    module: ModuleType | None = None
    infos: list[PluginInfo] = field(default_factory=list)
    events: tuple[str, ...] = ()
    problem: str = ""

    def names(self) -> tuple[str, ...]:
        """Names the plugin provides, each once."""
        return tuple(dict.fromkeys(info.name for info in self.infos))

    def labelled(self) -> Iterator[tuple[str, PluginInfo]]:
        """Yield (kind, info)."""
        for info in self.infos:
            yield next(kind for kind, wanted in PROVIDES.values() if isinstance(info, wanted)), info


def inspect_plugin(source: Source) -> Inspection:
    """Import a plugin and read its hooks; its faults end up in `Inspection.problem`."""
    found = Inspection()
    try:
        loaded = source.load()
        if not isinstance(loaded, ModuleType):
            raise PluginError(f"the entry point must name a module, got {loaded!r:.80}")
        found.module = loaded
        implementations = _implementations(loaded, source.plugin)
        found.events = tuple(hook for hook, _ in implementations if hook in EVENTS)
        for hook, function in implementations:
            if hook in PROVIDES:
                for info in _read(hook, function):
                    found.infos.append(info)
        _refuse_repeats(found)
    # A plugin's module and hooks are arbitrary code: anything may come, even sys.exit().
    except (Exception, SystemExit) as error:
        found.problem = sentence(error)
    return found


def sentence(error: BaseException) -> str:
    """One line for an exception; the type is named where the message alone says too little."""
    text = " ".join(str(error).split())
    if isinstance(error, (PluginError, ImportError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _implementations(module: ModuleType, plugin: str) -> list[tuple[str, Callable[[], object]]]:
    """Functions of a module that implement hooks, checked against the specifications."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=plugin)
    except pluggy.PluginValidationError as error:
        raise PluginError(_arguments(error)) from error
    callers = manager.get_hookcallers(module) or []
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        unknown = next(caller.name for caller in callers if not caller.has_spec())
        raise PluginError(_unknown_hook(unknown)) from error
    pairs = [(caller.name, implementation.function) for caller in callers if caller.has_spec()
             for implementation in caller.get_hookimpls()]
    if not pairs:
        raise PluginError(_nothing(module))
    return sorted(pairs, key=lambda pair: HOOKS.index(pair[0]))


def _read(hook: str, function: Callable[[], object]) -> Iterator[PluginInfo]:
    """Call one hook and check each thing it returns."""
    wanted = PROVIDES[hook][1]
    try:
        result = function()
        if isinstance(result, (str, bytes)) or not isinstance(result, Iterable):
            raise PluginError(f"{hook} must return {wanted.__name__} records, got {result!r:.80}")
        for info in result:
            if not isinstance(info, wanted):
                raise PluginError(f"{hook} must return {wanted.__name__} records, got {info!r:.80}")
            yield info
    except PluginError:
        raise
    # Arbitrary code of the plugin, see `inspect_plugin`.
    except (Exception, SystemExit) as error:
        raise PluginError(f"{hook} raised {sentence(error)}") from error


def _refuse_repeats(found: Inspection) -> None:
    """Refuse a plugin that provides one name twice."""
    seen = set()
    for kind, info in found.labelled():
        if (kind, info.name) in seen:
            raise PluginError(f"the {kind} name {info.name!r} is provided twice")
        seen.add((kind, info.name))


def _arguments(error: pluggy.PluginValidationError) -> str:
    """Join what pluggy says about a hook whose arguments do not fit, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:1] + lines[2:]) if len(lines) > 2 else " ".join(lines)


def _unknown_hook(name: str) -> str:
    close = get_close_matches(name, HOOKS, n=1)
    return f"unknown hook {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def _nothing(module: ModuleType) -> str:
    unmarked = [name for name in HOOKS if inspect.isfunction(getattr(module, name, None))]
    if unmarked:
        return f"{unmarked[0]} is not marked with @hookimpl"
    return f"implements no hook; known hooks: {', '.join(HOOKS)}"
