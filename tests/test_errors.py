"""The tree of errors: what it says of itself, exit codes, sentences."""

from __future__ import annotations

import inspect
import re

import pytest

from srbench import errors
from srbench.errors import SrbenchError, UnknownName

CLASSES = {name: cls for name, cls in vars(errors).items()
           if inspect.isclass(cls) and issubclass(cls, Exception)}


def documented() -> dict[str, tuple[str | None, int | None]]:
    """Parent and exit code of each class in the module's docstring."""
    found: dict[str, tuple[str | None, int | None]] = {}
    above: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+) +(?:exit (\d+))?", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [(other, name) for other, name in above if other < depth]
        found[match[2]] = (above[-1][1] if above else None, int(match[3]) if match[3] else None)
        above.append((depth, match[2]))
    return found


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    tree = documented()
    assert set(tree) == set(CLASSES)
    for name, (parent, code) in tree.items():
        assert CLASSES[name].__bases__[0].__name__ == (parent or "Exception")
        if code is None:
            code = CLASSES[parent].exit_code
        assert CLASSES[name].exit_code == code, name


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"UnknownName"}))
def test_every_error_is_a_message_and_a_hint(name):
    error = CLASSES[name]("3 is wrong", hint="take 4")
    assert isinstance(error, SrbenchError)
    assert (error.message, error.hint) == ("3 is wrong", "take 4")
    assert str(error) == "3 is wrong (take 4)"
    assert str(CLASSES[name]("3 is wrong")) == "3 is wrong"
    with pytest.raises(TypeError):
        CLASSES[name]("3 is wrong", "take 4")


@pytest.mark.parametrize(("name", "known", "text"), [
    ("otss", ["wgan-gp", "ots"],
     "no method named 'otss'; did you mean 'ots'? (known: ots, wgan-gp)"),
    ("zebra", ["wgan-gp", "ots"], "no method named 'zebra' (known: ots, wgan-gp)"),
    ("ots", [], "no method named 'ots' (there are none)"),
    ("", ["ots"], "no method named '' (known: ots)")])
def test_unknown_names_are_answered_with_the_nearest(name, known, text):
    error = UnknownName("method", name, iter(known))
    assert str(error) == text
    assert (error.kind, error.name) == ("method", name)


def test_a_hint_replaces_the_list_of_names_but_not_the_guess():
    error = UnknownName("dataset", "w2-erly", ["w2-early"], hint="see srbench list")
    assert error.hint == "see srbench list"
    assert "did you mean 'w2-early'?" in error.message
