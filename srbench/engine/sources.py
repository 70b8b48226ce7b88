"""What one source file says up to formatting: its digest, and the modules it imports."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from srbench.errors import PluginError

# `kind` is the u of u"text"; contexts (Load, Store) follow from where a name stands.
SILENT_FIELDS = frozenset({"kind", "ctx", "type_comment", "type_ignores"})
IMPORTERS = ("import_module", "__import__")


@dataclass(frozen=True)
class Import:
    """One import: ``from {level dots}{module} import {names}``, or ``import {module}``.

    ``names`` is empty for the second form.
    """

    module: str
    level: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What counts of one file.

    Parameters
    ----------
    digest : str
        SHA-256, 32 hex digits: of Python the syntax tree without docstrings, otherwise the bytes.
    imports : tuple of Import
        At any depth, except under ``if TYPE_CHECKING:``, which does not run.
    lazy : dict of str to str
        The table ``_LAZY`` of a package whose ``__getattr__`` loads each name from a module.
    attributes : frozenset of str
        Every name read behind a dot: what may be taken from a module that is imported whole.
    dynamic : bool
        Whether ``getattr`` is called with a name that only the running program knows.
    """

    digest: str
    imports: tuple[Import, ...] = ()
    lazy: dict[str, str] = field(default_factory=dict)
    attributes: frozenset[str] = frozenset()
    dynamic: bool = False


DIGITS = 32  # 128 bits of SHA-256 name a file well enough


def read_source(path: Path) -> Source:
    """What counts of a file.

    Raises
    ------
    PluginError
        If it cannot be read.
    """
    try:
        if path.suffix == ".py":
            return read_python(path.read_bytes())
        with path.open("rb") as file:  # data may be large
            return Source(hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS])
    except OSError as error:
        raise PluginError(f"cannot read {path}: {error.strerror}",
                          hint="every file of a plugin's package counts") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]


@lru_cache(maxsize=4096)
def read_python(content: bytes) -> Source:
    """What counts of a Python source; of one that cannot be parsed its bytes.

    Remembered by content, so that an edit is always seen.
    """
    words: list[str] = []
    found = _Found()
    try:
        tree = ast.parse(content)
        _write(tree, words)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: nested too deep
        return Source(_digest(content))
    _look(tree, found)
    return Source(_digest("\0".join(words).encode()),
                  tuple(dict.fromkeys(found.imports)), found.lazy, frozenset(found.attributes),
                  found.dynamic)


def _write(node: ast.AST, words: list[str]) -> None:
    """Write a tree in words that say what it does; empty fields differ between Pythons."""
    words.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or name in SILENT_FIELDS:
            continue
        if isinstance(value, ast.AST):
            words.append(name)
            _write(value, words)
        elif not isinstance(value, list):
            words += (name, repr(value))
        elif items := [item for item in value if not _is_text(item)]:
            words += (name, "[")
            for item in items:
                if isinstance(item, ast.AST):
                    _write(item, words)
                else:  # the names of `global`, the missing keys of {**other}
                    words.append(repr(item))
            words.append("]")
    words.append(")")


def _is_text(node: object) -> bool:
    """Whether a statement is only a text: a docstring of a module, class, function or field."""
    return (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str))


@dataclass
class _Found:
    imports: list[Import] = field(default_factory=list)
    lazy: dict[str, str] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    dynamic: bool = False


def _look(tree: ast.AST, found: _Found) -> None:
    """Collect imports, attributes and the lazy table of a tree."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _for_annotations(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found.imports += [Import(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            found.imports.append(Import(node.module or "", node.level, names))
        elif isinstance(node, ast.Attribute):
            found.attributes.add(node.attr)
        elif isinstance(node, ast.Call):
            _look_at_call(node, found)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found.lazy |= _lazy_table(node)
        waiting += ast.iter_child_nodes(node)


def _for_annotations(test: ast.expr) -> bool:
    """Whether a condition is ``TYPE_CHECKING`` or ``typing.TYPE_CHECKING``."""
    return ((isinstance(test, ast.Name) and test.id == "TYPE_CHECKING")
            or (isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"))


def _look_at_call(node: ast.Call, found: _Found) -> None:
    """Take ``import_module("name")`` and ``getattr(module, name)`` for what they are."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(
        node.func, "id", "")
    words = [argument.value if isinstance(argument, ast.Constant) else None
             for argument in node.args]
    if called in IMPORTERS and words and isinstance(words[0], str):
        module = words[0].lstrip(".")
        level = len(words[0]) - len(module)
        # import_module(".b", __package__) is `from . import b`; what is a package stays open.
        found.imports.append(Import("", level, (module,)) if level else Import(module))
    elif called == "getattr" and len(words) > 1:
        if isinstance(words[1], str):
            found.attributes.add(words[1])
        else:
            found.dynamic = True


def _lazy_table(node: ast.Assign | ast.AnnAssign) -> dict[str, str]:
    """The entries of ``_LAZY = {"name": "module"}``; of another assignment none."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if not (any(isinstance(target, ast.Name) and target.id == "_LAZY" for target in targets)
            and isinstance(node.value, ast.Dict)):
        return {}
    return {key.value: value.value
            for key, value in zip(node.value.keys, node.value.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
            and isinstance(value, ast.Constant) and isinstance(value.value, str)}
