"""The fenced code blocks of the documentation, and what is to be done with each.

A comment line before a block says what its language does not: ``<!-- not run: reason -->``,
``<!-- slow -->``, ``<!-- file: path -->``, ``<!-- exit: 3 -->``. Several may stand together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = ("python", "sh", "console")
SHOWN = ("bibtex", "csv", "html", "ini", "json", "latex", "text", "toml", "yaml")
MARKS = ("not run", "slow", "file", "exit")
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<info>.*)$")
_MARK = re.compile(r"^\s*<!--\s*(?P<name>[a-z ]+?)\s*(?::\s*(?P<value>.*?))?\s*-->\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is that of its first line of text, from 1."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def kind(self) -> str:
        """What is done with it: file, not run, slow, run or shown."""
        for mark in ("not run", "file"):
            if mark in self.marks:
                return mark
        if self.language in RUN:
            return "slow" if "slow" in self.marks else "run"
        return "shown"


def pages() -> list[Path]:
    """Every page whose blocks count."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def page_name(path: Path) -> str:
    """A page as named in messages and test ids."""
    return path.relative_to(ROOT).as_posix()


def blocks_of(text: str, page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if mark := _MARK.match(line):
            marks[mark["name"]] = mark["value"] or ""
        elif fence := _FENCE.match(line):
            body, indent = [], len(fence["indent"])
            for _, inner in lines:
                if inner.strip().startswith(fence["fence"]) and not inner.strip("`~ "):
                    break
                body.append(inner[indent:] if not inner[:indent].strip() else inner)
            else:
                raise ValueError(f"{page}:{number}: a block that does not end")
            language = fence["info"].strip().partition(" ")[0]
            found.append(Block(page, number + 1, language, "\n".join(body) + "\n", marks))
            marks = {}
        elif line.strip():
            marks = {}
    return found


@dataclass(frozen=True)
class Typed:
    """One command of a console block and the lines printed below it."""

    command: str
    output: str


def typed(text: str) -> list[Typed]:
    """Commands and outputs of a console block; ``> `` or a backslash continues a command."""
    found: list[Typed] = []
    command: list[str] = []
    output: list[str] = []
    for line in text.splitlines():
        going_on = command and not output and (line.startswith("> ") or command[-1].endswith("\\"))
        if line.startswith("$ ") or going_on:
            if command and not going_on:
                found.append(Typed("\n".join(command), "\n".join(output)))
                command, output = [], []
            command.append(line[2:] if line.startswith(("$ ", "> ")) else line)
        else:
            output.append(line)
    return [*found, Typed("\n".join(command), "\n".join(output))] if command else found
