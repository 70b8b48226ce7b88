"""Where Python shows how far a run is: a terminal, a notebook, or nowhere."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from srbench.cli.console import Output

if TYPE_CHECKING:
    from rich.console import Console


class NotebookOutput(Output):
    """Rich's own display in a notebook, below the cell that runs."""

    @cached_property
    def stderr(self) -> Console:
        """Rich console of the notebook."""
        from rich.console import Console

        return Console(force_jupyter=True, markup=False, emoji=False, highlight=False)


def said(progress: bool) -> Output:
    """Return what progress is shown on.

    A notebook shows bars where ipywidgets is installed, and otherwise lines, as a log does.
    """
    if not progress:
        return Output(verbosity=-1)
    return NotebookOutput() if in_notebook() and find_spec("ipywidgets") else Output()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    from rich.console import Console

    return Console().is_jupyter
