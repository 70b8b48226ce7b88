"""What a plugin may import from ``srbench.networks``."""

from __future__ import annotations

import subprocess

import pytest

import srbench.networks as networks


@pytest.mark.parametrize("name", networks.__all__)
def test_every_name_is_importable_and_documented(name):
    thing = getattr(networks, name)
    assert thing.__name__ == name
    assert thing.__doc__


def test_all_is_exactly_what_is_lazy():
    assert sorted(networks.__all__) == sorted(networks._LAZY)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'VNet'"):
        networks.VNet  # noqa: B018


def test_importing_the_package_imports_no_torch(python):
    code = "import sys, srbench.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([python, "-c", code], check=False).returncode == 0
