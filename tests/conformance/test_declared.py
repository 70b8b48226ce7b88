"""What datasets and metrics say of themselves is held to what methods are held to."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from types import SimpleNamespace

import pytest

from srbench.api.parameters import Parameters
from srbench.conformance import declared
from srbench.conformance.synthetic import SyntheticVectors
from srbench.errors import MissingDependency, PluginError
from srbench.registry.infos import DatasetInfo
from tests.conformance.subjects import verdict

CHECKS = {check.name: check for check in declared.DATASET}
INFO = DatasetInfo(name="toy", summary="A toy.", load="toy:Toy", licence="CC0-1.0",
                   citation="@misc{toy, author = {A}, title = {B}, year = {2026}}")


class Sized(SyntheticVectors):
    class Params(Parameters):
        size: int = 4


class Open(SyntheticVectors):
    class Params(Parameters):
        model_config = {"extra": "allow"}  # noqa: RUF012


class Lax(SyntheticVectors):
    class Params(Parameters):
        model_config = {"strict": False}  # noqa: RUF012
        size: int = 4


class Untyped(SyntheticVectors):
    class Params(Parameters):
        size: object = 4


class Unfinished(SyntheticVectors):
    @abstractmethod
    def more(self):
        """Return what is missing."""


def subject(cls=Sized, info=INFO):
    def load():
        if isinstance(cls, Exception):
            raise cls
        return cls

    return SimpleNamespace(entry=SimpleNamespace(
        info=info, load=load, distribution="file", plugin="toy.py", module=None))


def test_a_sound_declaration_passes():
    found = {name: verdict(check, subject()) for name, check in CHECKS.items()}
    light = found.pop("dataset-module-is-light")
    assert light.startswith("not tried")  # one file holds all
    assert set(found.values()) == {"passed"}


@pytest.mark.parametrize(("name", "thing", "seen"), [
    ("dataset-summary", subject(info=replace(INFO, summary="a toy")), "no sentence"),
    ("dataset-citation", subject(info=replace(INFO, citation="")), "nobody to cite"),
    ("dataset-citation", subject(info=replace(INFO, citation="@misc{toy, title = {B}}")),
     "no author and no year"),
    ("dataset-licence", subject(info=replace(INFO, licence=" ")), "licence=''"),
    ("dataset-loads", subject(PluginError("toy has no 'Toy'")), "toy has no 'Toy'"),
    ("dataset-loads", subject(Unfinished), "does not define more"),
    ("dataset-parameters-typed", subject(Open), "extra='allow'"),
    ("dataset-parameters-typed", subject(Untyped), "without a type: size"),
    ("dataset-parameters-refuse-nonsense", subject(Lax), "size accepts the text '1'"),
])
def test_a_defect_is_seen(name, thing, seen):
    said = verdict(CHECKS[name], thing)
    assert said.startswith("failed"), said
    assert seen in said


def test_what_cannot_be_imported_is_blamed_once():
    broken, absent = subject(PluginError("no")), subject(MissingDependency("no toyland"))
    for name in ("dataset-parameters-typed", "dataset-parameters-refuse-nonsense"):
        assert verdict(CHECKS[name], broken).startswith("not tried: it cannot be imported")
    assert verdict(CHECKS["dataset-loads"], absent).startswith("not tried: no toyland")


def test_kinds_have_checks_of_their_own_names():
    names = [check.name for check in (*declared.DATASET, *declared.METRIC)]
    assert len(names) == len(set(names))
    assert all(check.name.startswith(f"{check.kind}-")
               for check in (*declared.DATASET, *declared.METRIC))
