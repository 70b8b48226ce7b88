"""The ``srbench`` command: its verbs, its common options, and what its errors look like."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import traceback
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from srbench import __version__
from srbench.cli.console import COLORS, Output
from srbench.cli.exits import ExitCode
from srbench.errors import SrbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem


class Verb(NamedTuple):
    """A subcommand that has not been imported."""

    target: str
    summary: str


VERBS = {
    "run": Verb("srbench.cli.run:command", "Train and evaluate methods, build a leaderboard page."),
    "status": Verb("srbench.cli.status:command", "Show where the cells of a run stand."),
    "resume": Verb("srbench.cli.resume:command", "Finish an interrupted run, retry failed cells."),
    "show": Verb("srbench.cli.show:command", "Show the results of finished cells."),
    "compare": Verb("srbench.cli.compare:command", "Say what the data support of two methods."),
    "restore": Verb("srbench.cli.restore:command", "Restore image files by a trained map."),
    "board": Verb("srbench.cli.board:command", "Build and open leaderboard pages."),
    "publish": Verb("srbench.cli.publish:command", "Put records and pages into leaderboards/."),
    "verify": Verb("srbench.cli.verify:command", "Check that records are what was committed."),
    "explain": Verb("srbench.cli.explain:command", "Say why a cell would be reused or run again."),
    "new": Verb("srbench.cli.new:command", "Begin a package with a method or dataset."),
    "check": Verb("srbench.cli.check:command", "Try whether a plugin keeps its promises."),
    "fetch": Verb("srbench.cli.fetch:command", "Download pretrained weights and data."),
    "list": Verb("srbench.cli.list:command", "List what is installed, plugins that fail last."),
    "info": Verb("srbench.cli.info:command", "Describe a method, dataset, metric or tracker."),
    "doctor": Verb("srbench.cli.doctor:command", "Check this machine and say what to mend."),
}

HELP = """\b
Examples:
  srbench run --methods ots,wgan-gp --dataset w2-early
  srbench info wgan-gp

Compare methods of unpaired image super-resolution.

The answer is on stdout, everything else on stderr. Exit codes: 0 all ok, 1 something failed,
2 wrong usage, 3 some cells are not ok, 4 nothing matched, 130 interrupted.
"""

EPILOG = """\b
Completion of commands, options and names in your shell (bash, zsh or fish):
  eval "$(_SRBENCH_COMPLETE=bash_source srbench)"
"""


def _verbosity(context: click.Context, parameter: click.Parameter, value: int) -> None:
    context.ensure_object(Output).verbosity += value


def _quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Output).verbosity = -1


def _color(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        context.ensure_object(Output).color = value
        context.color = None if value == "auto" else value == "always"


def common_options() -> list[click.Option]:
    """Options every command takes, before or after its name."""
    return [
        click.Option(["-v", "--verbose"], count=True, callback=_verbosity, expose_value=False,
                     is_eager=True, help="Say more; -vv shows tracebacks."),
        click.Option(["-q", "--quiet"], is_flag=True, callback=_quiet, expose_value=False,
                     is_eager=True, help="Only the answer, warnings and errors."),
        click.Option(["--color"], type=click.Choice(COLORS), callback=_color, expose_value=False,
                     is_eager=True,
                     help="Colour the output; auto respects NO_COLOR and FORCE_COLOR."),
    ]


class LazyGroup(click.Group):
    """A group that imports a command when it runs, and lists all of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a user's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and add the common options to a copy of it."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].target.partition(":")
        command: click.Command = copy.copy(getattr(import_module(module), attribute))
        taken = {word for parameter in command.params for word in parameter.opts}
        command.params = command.params + [
            option for option in common_options() if not taken.intersection(option.opts)]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest one."""
        name = args[0]
        if name not in VERBS and not name.startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(name, VERBS, n=1, cutoff=0.5)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"no command named {name!r}{guess}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the one-line summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands, and options of the group."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=verb.summary) for name, verb in VERBS.items()
                 if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.command("srbench", cls=LazyGroup, params=common_options(), help=HELP, epilog=EPILOG,
               no_args_is_help=True,
               context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="srbench %(version)s")
def cli() -> None:
    """Hold the commands; the work is theirs."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors end as one sentence and a hint.

    Parameters
    ----------
    args : sequence of str, optional
        Words after ``srbench``; those of the process by default.
    """
    output = Output()
    _survive_narrow_encodings()
    try:
        result = cli.main(args=None if args is None else list(args), prog_name="srbench",
                          standalone_mode=False, obj=output)
    except SrbenchError as error:
        return _failed(output, error, error.message, error.hint, error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"{context.command_path if context else 'srbench'} --help"
        return _failed(output, error, error.format_message(), hint, error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        return _failed(output, error, "interrupted", "", ExitCode.INTERRUPTED)
    # Whatever reaches this line was not raised on purpose; the user gets a file to send.
    except Exception as error:
        message = f"this is a bug in srbench: {type(error).__name__}: {error}"
        hint = f"please report it with the traceback in {_write_traceback(error)}"
        return _failed(output, error, message, hint, ExitCode.FAILURE)
    return result if type(result) is int or isinstance(result, ExitCode) else ExitCode.OK


def _failed(output: Output, error: BaseException, message: str, hint: str, code: int) -> int:
    """Say what went wrong, with the traceback if ``-vv`` asks for it."""
    if output.verbosity >= 2:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    output.error(message, hint)
    return code


def _write_traceback(error: Exception) -> Path:
    """Keep the traceback of a bug in a new file."""
    handle, name = tempfile.mkstemp(prefix="srbench-", suffix="-traceback.txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(f"srbench {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        file.writelines(traceback.format_exception(error))
    return Path(name)


def _survive_narrow_encodings() -> None:
    """Replace what a terminal's encoding lacks instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
