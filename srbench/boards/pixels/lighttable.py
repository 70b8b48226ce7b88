"""The light table: whole images of all methods, one scene at a time."""

from __future__ import annotations

from pathlib import Path

from srbench.boards.board import Board


def pixels_page(board: Board, cells: Path, out: Path, name: str) -> str:
    """HTML of the second page (under construction)."""
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>"
