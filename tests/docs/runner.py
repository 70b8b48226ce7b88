"""A process that runs pages: reads a page as one JSON line, forks, answers with one JSON line.

It imports torch once and forks for each page, so that a page costs what its blocks cost.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import signal
import subprocess
import sys
import traceback
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = "docs_page"
END = "\x1eend "


def bash(script: str, folder: Path, limit: float) -> tuple[int, str]:
    """Run shell lines; stdout and stderr together, as a reader sees them."""
    process = subprocess.Popen(["bash", "-c", script], cwd=folder, text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        printed, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # cells are stopped by the run they belong to
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return -1, f"it takes longer than {limit:g} s: mark it <!-- slow --> or not run"
    return process.returncode, printed


def run_python(block: dict[str, Any], space: types.ModuleType) -> str:
    """Run one block in the page's namespace; what went wrong, with the page's line numbers."""
    source = "\n" * (block["line"] - 1) + block["text"]
    page = (ROOT / block["page"]).read_text(encoding="utf-8")
    linecache.cache[block["page"]] = (len(page), None, page.splitlines(True), block["page"])
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, block["page"], "exec"), space.__dict__)
    except BaseException:
        return f"{traceback.format_exc()}\nprinted:\n{printed.getvalue()}"
    return ""


def run_sh(block: dict[str, Any], folder: Path) -> str:
    """Run one block of commands; the first that fails ends it."""
    code, printed = bash(f"set -euo pipefail\n{block['text']}", folder, block["limit"])
    wanted = int(block["marks"].get("exit", 0))
    return "" if code == wanted else f"exit code {code}, not {wanted}\n{printed}"


def run_console(block: dict[str, Any], folder: Path) -> str:
    """Run the commands of a block in one shell and compare what each prints with what is shown."""
    script = "".join(f"{typed['command']}\necho '{END}'$?\n" for typed in block["typed"])
    _, printed = bash(script, folder, block["limit"])
    parts = printed.split(END)
    wanted = int(block["marks"].get("exit", 0))
    codes = [part.partition("\n")[0].strip() for part in parts[1:]]
    outputs = [parts[0], *(part.partition("\n")[2] for part in parts[1:])]
    wrong = []
    for typed, output, code in zip(block["typed"], outputs, codes, strict=False):
        found = block["difference"](typed["output"], output.replace(str(folder), "."))
        if found:
            wrong.append(f"$ {typed['command']}\n{found}\n--- all of it:\n{output}")
        if int(code) not in {0, wanted}:
            wrong.append(f"$ {typed['command']}\nexit code {code}\n{output}")
    if len(codes) < len(block["typed"]):
        wrong.append(f"the shell ended early:\n{printed}")
    elif wanted and str(wanted) not in codes:
        wrong.append(f"no command ended with exit code {wanted}, but {codes}")
    return "\n".join(wrong)


def run_page(page: dict[str, Any], folder: Path) -> list[dict[str, str]]:
    """Run the blocks of a page in order; those that went wrong."""
    space = types.ModuleType(MODULE)
    sys.modules[MODULE] = space
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    failures = []
    if page["prepare"]:
        code, printed = bash(f"set -euo pipefail\n{page['prepare']}", folder, 300)
        if code:
            return [{"block": f"{page['name']}, before its blocks", "what": printed}]
    for block in page["blocks"]:
        if block["kind"] == "file":
            path = folder / block["marks"]["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["text"], encoding="utf-8")
            continue
        if block["language"] == "console":
            wrong = run_console(block | {"difference": _difference()}, folder)
        elif block["language"] == "sh":
            wrong = run_sh(block, folder)
        else:
            wrong = run_python(block, space)
        if wrong:
            failures.append({"block": f"{block['page']}:{block['line']}", "what": wrong})
    return failures


def _difference() -> Any:
    """Import the comparison from the file beside this one."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("docs_outputs", Path(__file__).with_name("outputs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.difference


def child(page: dict[str, Any]) -> None:
    """Run one page in this process and leave what went wrong in a file; does not return."""
    for name, value in page["environment"].items():
        os.environ[name] = value
    report = Path(page["report"])
    os.dup2(2, 1)  # what a page prints, also from processes it starts, is no answer
    try:
        failures = run_page(page, Path(page["folder"]))
    except BaseException:
        failures = [{"block": page["name"], "what": traceback.format_exc()}]
    report.write_text(json.dumps(failures), encoding="utf-8")
    sys.stderr.flush()
    os._exit(0)


def serve() -> None:
    """Answer pages until there are no more."""
    import torch

    import srbench.training

    assert torch.__name__
    assert srbench.training.__name__
    for line in sys.stdin:
        page = json.loads(line)
        process = os.fork()
        if not process:
            child(page)
        _, status = os.waitpid(process, 0)
        report = Path(page["report"])
        failures = (json.loads(report.read_text(encoding="utf-8")) if report.is_file() else
                    [{"block": page["name"], "what": f"the process ended: status {status}"}])
        sys.stdout.write(json.dumps(failures) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
