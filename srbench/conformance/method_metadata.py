"""Checks of what a method says about itself, and of its parameters."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from srbench.api.method import Method
from srbench.api.parameters import PRESETS, Parameters
from srbench.conformance.check import Check, Failed, NotTried
from srbench.errors import MissingDependency, Skipped, SrbenchError, UsageError
from srbench.errors import MissingWeights as Missing

if TYPE_CHECKING:
    from srbench.conformance.method_subject import MethodSubject

BIBTEX = re.compile(r"\s*@(\w+)\s*\{\s*([^\s,{}]+)\s*,")
LONGEST = 120  # characters of a summary, a line of `srbench list`
HEAVY = ("torch", "torchvision", "tensorflow", "jax", "pandas", "pydantic")
IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*[name for name in sys.argv[2:] if name in sys.modules])
"""
DOMAINS = ("image", "vector", "sr")
SECONDS = 60


def summary(subject: MethodSubject) -> None:
    """One sentence of one line, with its full stop."""
    text = subject.entry.info.summary
    if text != text.strip() or "\n" in text or not text.endswith((".", "!", "?")):
        raise Failed(f"summary={text!r} is no sentence on one line with a full stop")
    if len(text) > LONGEST:
        raise Failed(f"the summary has {len(text)} characters, {LONGEST} fit a line of the list")


def citation(subject: MethodSubject) -> None:
    """A BibTeX entry with author, title and year."""
    text = subject.entry.info.citation
    if not text.strip():
        raise Failed("citation='' names nobody to cite")
    if BIBTEX.match(text) is None or text.count("{") != text.count("}"):
        raise Failed(f"citation={text[:60]!r} is no BibTeX entry @kind{{key, ...}} whose braces "
                     "close")
    missing = [name for name in ("author", "title", "year")
               if re.search(rf"\b{name}\s*=", text, re.IGNORECASE) is None]
    if missing:
        raise Failed(f"the citation has no {' and no '.join(missing)}")


def licence(subject: MethodSubject) -> None:
    """A licence."""
    if not subject.entry.info.licence.strip():
        raise Failed("licence='' leaves open whether anybody may use it")


def top_module_is_light(subject: MethodSubject) -> None:
    """Importing the top module imports none of `HEAVY`."""
    entry = subject.entry
    package = getattr(entry.module, "__path__", None)
    if entry.distribution == "file" and package is None:
        raise NotTried("a one-off file holds metadata and implementation together")
    above = [str(Path(folder).parent) for folder in package or ()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [*above * (entry.distribution == "file"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", IMPORT, entry.module.__name__, *HEAVY],
                          capture_output=True, text=True, timeout=SECONDS, check=False,
                          env=environment)
    if done.returncode:
        raise Failed(f"importing {entry.module.__name__} in a new process failed: "
                     f"{done.stderr.strip().splitlines()[-1:]}")
    if done.stdout.strip():
        raise Failed(f"importing {entry.module.__name__} imports {done.stdout.strip()}")


def loads(subject: MethodSubject) -> None:
    """The implementation can be imported and is what it must be."""
    try:
        cls = subject.entry.load()
    except MissingDependency as error:
        raise NotTried(str(error)) from error
    except SrbenchError as error:
        raise Failed(error.message) from error
    abstract = sorted(getattr(cls, "__abstractmethods__", ()))
    if abstract:
        raise Failed(f"{cls.__name__} does not define {', '.join(abstract)}")
    if cls.__init__ is not Method.__init__ and not _takes_two(cls):
        raise Failed(f"{cls.__name__}.__init__ must take (params, problem) and no more")


def _takes_two(cls: type[Any]) -> bool:
    import inspect

    try:
        inspect.signature(cls.__init__).bind(None, None, None)
    except TypeError:
        return False
    return True


def typed(subject: MethodSubject) -> None:
    """Every parameter has a type and a default, in a class of strict, frozen parameters."""
    kind = subject.load().Params
    if not (isinstance(kind, type) and issubclass(kind, Parameters)):
        raise Failed(f"Params={kind!r} is no subclass of srbench.Parameters")
    loose = [name for name, field in kind.model_fields.items()
             if field.annotation in (Any, object, None)]
    if loose:
        raise Failed(f"parameters without a type: {', '.join(loose)}")
    required = [name for name, field in kind.model_fields.items() if field.is_required()]
    if required:
        raise Failed(f"parameters without a default: {', '.join(required)}; "
                     "the method cannot be run by its name alone")
    config = kind.model_config
    wrong = [f"{name}={config.get(name)!r}" for name, wanted
             in (("strict", True), ("frozen", True), ("extra", "forbid"))
             if config.get(name) != wanted]
    if wrong:
        raise Failed(f"model_config of Params says {', '.join(wrong)}")


def refuse_nonsense(subject: MethodSubject) -> None:
    """An unknown name, a value of a wrong type and a change afterwards are refused."""
    kind = subject.load().Params
    preset = _preset(kind)
    if _accepts(kind, preset, {"no-such-parameter": 1}):
        raise Failed("Params.resolve accepts the parameter 'no-such-parameter'")
    for name in kind.public_names():
        if _accepts(kind, preset, {name: object()}):
            raise Failed(f"{name} accepts a bare object(): its values are not validated")
        numeric = kind.model_fields[kind.public_names()[name]].annotation in (int, float)
        if numeric and _accepts(kind, preset, {name: "1"}):
            raise Failed(f"{name} accepts the text '1' for a number")
    values = kind.resolve(preset, "image", {})
    for field in kind.model_fields:
        try:
            setattr(values, field, getattr(values, field))
        except (ValidationError, AttributeError, TypeError):
            continue
        raise Failed(f"{field} can be set after the parameters were resolved")


def _preset(kind: type[Parameters]) -> str:
    names = [name.partition("@")[0] for name in kind.presets]
    return PRESETS[0] if PRESETS[0] in names or not names else names[0]


def _accepts(kind: type[Parameters], preset: str, given: dict[str, object]) -> bool:
    try:
        kind.resolve(preset, "image", given)
    except UsageError:
        return False
    return True


def presets(subject: MethodSubject) -> None:
    """Every preset resolves in every domain, and there is a quick one where there are any."""
    kind = subject.load().Params
    names = {name.partition("@")[0] for name in kind.presets}
    if names and PRESETS[0] not in names:
        raise Failed(f"presets are {', '.join(sorted(names))}, without 'quick', which "
                     "srbench run takes unless told otherwise")
    for name in sorted(names or {PRESETS[0]}):
        for domain in DOMAINS:
            try:
                kind.resolve(name, domain, {})
            except UsageError as error:
                raise Failed(f"the preset {name!r} does not resolve on {domain}: "
                             f"{error.message}") from error
    for key in kind.presets:
        domain = key.partition("@")[2].partition("[")[0]
        if domain and domain not in DOMAINS:
            raise Failed(f"the preset {key!r} is for the domain {domain!r}; there are "
                         f"{', '.join(DOMAINS)}")


def accepts_a_problem(subject: MethodSubject) -> None:
    """It can be built for vectors, images or photographs."""
    from srbench.conformance.photographs import problems

    reasons = []
    for dataset in problems():
        try:
            subject.load()(subject.params(dataset), dataset.problem)
            return
        except Missing as error:
            raise NotTried(str(error)) from error
        except Skipped as error:
            reasons.append(f"{dataset.problem.domain}: {error.message}")
        except Exception:  # the check builds-or-skips-with-a-reason reports it
            return
    raise Failed(f"it skips every problem: {'; '.join(reasons)}")


def _check(name: str, what: str, remedy: str, run: Any) -> Check:
    return Check(name=name, kind="method", what=what, remedy=remedy, run=run)


CHECKS = (
    _check("metadata-summary", "The summary is one sentence on one line, with a full stop.",
           "Write MethodInfo(summary=\"What it does, in one sentence.\").", summary),
    _check("metadata-citation", "The citation is a BibTeX entry with author, title and year.",
           "Give MethodInfo(citation=\"\"\"@article{...}\"\"\"); for an idea not yet published, "
           "@misc with your name, title and year.", citation),
    _check("metadata-licence", "The licence of the implementation is named.",
           "Give MethodInfo(licence=\"MIT\"), or whichever it is.", licence),
    _check("top-module-is-light", "Importing the plugin's top module imports no torch, pandas or "
           "pydantic.", "Keep MethodInfo in the package's __init__.py and the class, with its "
           "imports, in a module that load= names.", top_module_is_light),
    _check("loads", "What load= names can be imported and is a complete subclass of "
           "srbench.Method.", "Mend the import or the class; load= is \"package.module:Class\".",
           loads),
    _check("parameters-typed", "Params is a srbench.Parameters whose fields all have a type and a "
           "default, strict and frozen.", "Write name: type = default, or name: type = "
           "Field(default, ge=..., le=...), and leave model_config alone.", typed),
    _check("parameters-refuse-nonsense", "Unknown parameters, wrong types and changes after the "
           "start are refused.", "Annotate fields with plain types and do not override "
           "validation.", refuse_nonsense),
    _check("presets-resolve", "Every preset is valid on every kind of problem, and one is called "
           "quick.", "Keys of presets are quick, paper or code, with @vector, @image or @sr behind "
           "them where they differ.", presets),
    _check("accepts-a-problem", "The method can be built for vectors, images or photographs.",
           "Raise Skipped only for problems that make no sense for the method.",
           accepts_a_problem),
)
