"""Command lines in the documentation: whether each would be understood, without running it."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import click

from srbench.cli.console import Output
from srbench.cli.shell import cli
from tests.docs.blocks import ROOT, Block, typed

OPERATORS = {"&&", "||", ";", "|", "&"}
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
# Beside these a block may use what POSIX has; their words are looked at here.
LOOKED_AT = ("srbench", "pip", "pytest", "python", "mkdocs", "ruff", "mypy")
OTHERS = {"cat", "cd", "cp", "curl", "echo", "export", "git", "grep", "head", "ls", "mkdir", "mv",
          "rm", "sed", "tail", "test", "unzip", "tensorboard", "mlflow"}


def text_of(block: Block) -> str:
    """What a reader types of a block."""
    if block.language == "console":
        return "\n".join(one.command for one in typed(block.text))
    return block.text


def commands_of(text: str) -> list[list[str]]:
    """Words of each command of a shell text: comments, variables and redirections left out.

    Raises
    ------
    ValueError
        If a quotation does not end.
    """
    found: list[list[str]] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        line = re.sub(r"(?<=\s)[012](?=>)", "", line)
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if word in OPERATORS:
                while words and _ASSIGNMENT.match(words[0]):
                    words.pop(0)
                if words:
                    found.append(words)
                words = []
            elif set(word) <= {"<", ">", "&"}:
                skip = True  # a file follows
            elif skip:
                skip = False
            elif word != "...":
                words.append(word)
    return found


def complaint(words: list[str]) -> str:
    """Why a command would not be understood, or nothing."""
    program, rest = words[0], words[1:]
    if program == "srbench":
        return misunderstood(rest)
    if program == "pip":
        return _pip(rest)
    if program == "pytest":
        return _paths([word.partition("::")[0] for word in rest if word.startswith("tests/")])
    if program == "python":
        return _python(rest)
    known = program in LOOKED_AT or program in OTHERS or program.startswith(("./", "."))
    return "" if known else f"no command {program!r} is known to tests/docs/commands.py"


def misunderstood(words: list[str]) -> str:
    """What click says against the words after ``srbench``; nothing if it takes them."""
    context: click.Context | None = None
    command: click.Command = cli
    name, rest = "srbench", list(words)
    try:
        while True:
            context = command.make_context(name, rest, parent=context,
                                           **({} if context else {"obj": Output()}))
            left = [*context._protected_args, *context.args]
            if not isinstance(command, click.Group) or not left:
                return ""
            found, inner, rest = command.resolve_command(context, left)
            if inner is None:
                return f"no command {found!r}"
            name, command = str(found), inner
    except click.exceptions.Exit:  # --help, --version
        return ""
    except click.ClickException as error:
        return error.format_message()


def _paths(names: list[str]) -> str:
    missing = [name for name in names if not (ROOT / name).exists()]
    return f"not in the repository: {', '.join(missing)}" if missing else ""


def _python(words: list[str]) -> str:
    """Scripts of the repository are there, and know the options they are given."""
    script = next((word for word in words if word.endswith(".py")), "")
    if not script.startswith(("benchmarks/", "docs/")):
        return ""
    if missing := _paths([script]):
        return missing
    source = (ROOT / script).read_text(encoding="utf-8")
    unknown = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
    return f"{script} has no option {', '.join(unknown)}" if unknown else ""


def _pip(words: list[str]) -> str:
    """Extras are those of pyproject.toml."""
    for extras in re.findall(r"(?:^|\s)(?:srbench|\.)\[([^\]]*)\]", " ".join(words)):
        unknown = set(extras.split(",")) - _extras()
        if unknown:
            return f"no extra {', '.join(sorted(unknown))}"
    return ""


@cache
def _extras() -> frozenset[str]:
    project = tomllib.loads(Path(ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return frozenset(project["optional-dependencies"])


def inline_commands(text: str) -> list[tuple[int, str]]:
    """Line and text of what stands between backticks in a page's prose and begins with srbench."""
    outside = re.sub(r"^( *)(```+|~~~+).*?^\1\2\s*$", lambda match: "\n" * match[0].count("\n"),
                     text, flags=re.DOTALL | re.MULTILINE)
    return [(outside.count("\n", 0, match.start()) + 1, match[1].replace("\n", " "))
            for match in re.finditer(r"(?<!`)`(srbench [^`]+)`(?!`)", outside)]
