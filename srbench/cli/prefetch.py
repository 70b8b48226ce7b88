"""Pretrained weights that planned cells need, fetched before the first of them starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from srbench.cli.console import Output, output
from srbench.cli.fetch import bars
from srbench.errors import SrbenchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from srbench.plan import Cell
    from srbench.registry.catalog import Catalog


def fetch_required(cells: Iterable[Cell], catalog: Catalog, said: Output | None = None) -> None:
    """Fetch the backbones that the methods of cells say they need and that are not here.

    All cells of a run then find the same weights. What cannot be had is said here and stops the
    cells that need it, with the command that mends it, before they train.

    Parameters
    ----------
    cells, catalog
        What is about to run; the installed plugins.
    said : Output, optional
        Where it is said; the running command's by default.
    """
    from srbench import weights
    from srbench.files import is_offline

    needed = sorted({name for cell in cells for name in required(cell, catalog)})
    if not needed or is_offline():
        return
    here = {name for name, present, _, _ in weights.status() if present}
    missing = [name for name in needed if name not in here]
    if not missing:
        return
    console = (said or output()).stderr
    console.print(f"fetching pretrained weights: {', '.join(missing)}", markup=False,
                  highlight=False)
    for name in missing:
        try:
            with bars(said) as progress:
                weights.fetch([name], progress=progress)
        except SrbenchError as error:
            console.print(f"warning: {error.message}", style="yellow", markup=False,
                          highlight=False)


def required(cell: Cell, catalog: Catalog) -> tuple[str, ...]:
    """Names of the backbones a cell's method needs; unknown where its plugin cannot say."""
    try:
        kind = catalog.method(cell.identity.method).load()
        text = json.dumps(cell.identity.method_params)
        return tuple(kind.requires(kind.Params.model_validate_json(text)))
    except Exception:  # whatever a plugin raises
        return ()  # the cell itself says why
