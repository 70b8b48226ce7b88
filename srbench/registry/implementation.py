"""From ``"package.module:Class"`` to the class."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import srbench
from srbench.errors import MissingDependency, PluginError, SrbenchError
from srbench.registry.infos import DatasetInfo, MethodInfo

if TYPE_CHECKING:
    from srbench.registry.infos import PluginInfo

# Packages whose name for pip differs from their name for import.
PIP_NAMES = {"cv2": "opencv-python", "ot": "POT", "PIL": "pillow", "skimage": "scikit-image",
             "sklearn": "scikit-learn", "yaml": "PyYAML"}


def load_implementation(info: PluginInfo, origin: str) -> type[Any]:
    """Import the class that ``info`` names.

    Parameters
    ----------
    info : PluginInfo
        What to load.
    origin : str
        ``distribution:plugin``, for messages.

    Raises
    ------
    MissingDependency
        If a package it imports is not installed.
    PluginError
        If it cannot be imported for another reason, or is not the class it must be.
    """
    module_name, _, class_name = info.load.partition(":")
    mend = remedy(*origin.split(":", 1))
    try:
        module = import_module(module_name)
        # A module may build its classes in __getattr__, so this too can import something.
        loaded = getattr(module, class_name, None)
    except SrbenchError:
        raise
    except ModuleNotFoundError as error:
        raise _missing(error, info, origin) from error
    # A plugin's module is arbitrary code.
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {origin}: importing {module_name} for {info.name!r} raised "
                          f"{type(error).__name__}: {error}", hint=mend) from error
    if loaded is None:
        raise PluginError(f"plugin {origin}: {module_name} has no {class_name!r}, which "
                          f"load={info.load!r} of {info.name!r} names", hint=mend)
    contract = _contract(info)
    if not isinstance(loaded, type) or not issubclass(loaded, contract):
        raise PluginError(f"plugin {origin}: {info.load!r} must be a subclass of "
                          f"srbench.{contract.__name__}, got {loaded!r}", hint=mend)
    return loaded


def _contract(info: PluginInfo) -> type[Any]:
    """Return the class an implementation must derive from."""
    if isinstance(info, MethodInfo):
        return srbench.Method
    return srbench.Dataset if isinstance(info, DatasetInfo) else srbench.Metric


def _missing(error: ModuleNotFoundError, info: PluginInfo, origin: str) -> SrbenchError:
    """Tell a package that is not installed from a module the plugin itself lacks."""
    name = (error.name or "").partition(".")[0]
    own = {info.load.partition(":")[0].partition(".")[0], "srbench", ""}
    if name in own or name in sys.modules or name in sys.stdlib_module_names:
        return PluginError(f"plugin {origin}: {info.name!r} cannot be imported: {error}",
                           hint=remedy(*origin.split(":", 1)))
    return MissingDependency(
        f"{info.name!r} of plugin {origin} needs the package {name!r}, which is not installed",
        hint=f"pip install {PIP_NAMES.get(name, name)}")


def remedy(distribution: str, plugin: str) -> str:
    """Say what a user can do about a defective plugin."""
    if distribution == "file":
        return f"mend {plugin}"
    if distribution == "srbench":
        return "install srbench again; in a checkout: pip install -e ."
    return f"pip install --upgrade {distribution}, or pip uninstall {distribution}"
