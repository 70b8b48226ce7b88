"""Pages on a branch of their own, without touching the working tree or the index.

The branch's files are those it had, without the pages of last time (``LIST`` names them), and
with the pages of now.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from srbench.errors import MissingDependency, StoreError, UsageError

LIST = ".srbench-pages"
NO_JEKYLL = ".nojekyll"  # hosts leave files alone whose branch has it


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A branch that holds pages now.

    Attributes
    ----------
    name : str
        Of the branch.
    commit : str
        The commit it is at.
    changed : bool
        Whether that is a new one.
    push : str
        The command that publishes it.
    """

    name: str
    commit: str
    changed: bool
    push: str


def commit_pages(pages: Path, branch: str, message: str) -> Branch:
    """Commit a folder's files to the root of a branch of the repository it lies in.

    A branch that is not there begins where the remote's one of that name is, else without a parent.

    Parameters
    ----------
    pages : Path
        Folder of regular files.
    branch : str
        Its name, as in ``gh-pages``.
    message : str
        Of the commit.

    Raises
    ------
    UsageError
        If the folder is in no repository, the branch cannot be called so or is checked out.
    StoreError
        If git refuses; the branch is as before.
    MissingDependency
        If git is not installed.
    """
    git = _Git(pages)
    git.refuse(branch)
    remote = git.remote()
    ref = f"refs/heads/{branch}"
    local = git.commit(ref)
    parent = local or git.commit(f"refs/remotes/{remote}/{branch}")
    with tempfile.TemporaryDirectory(prefix="srbench-") as folder:
        git.index = Path(folder) / "index"
        tree = git.tree(pages, parent)
    push = f"git push {remote} {branch}"
    if parent and git("rev-parse", f"{parent}^{{tree}}") == tree:
        if not local:
            git("update-ref", ref, parent, "")
        return Branch(name=branch, commit=parent, changed=False, push=push)
    parents = ["-p", parent] if parent else []
    commit = git("commit-tree", tree, *parents, "-m", message)
    # The old value makes it a refusal where somebody else moved the branch meanwhile.
    git("update-ref", "-m", f"srbench publish: {message}", ref, commit, local)
    return Branch(name=branch, commit=commit, changed=True, push=push)


def check_branch(folder: Path, branch: str) -> None:
    """Raise what `commit_pages` would, before anything else is done."""
    _Git(folder).refuse(branch)


class _Git:
    """Commands of git in the repository of a folder, with an index of their own."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise MissingDependency("git is not installed", hint="install it, or copy the pages "
                                    f"in {folder} to where they are to be")
        self._program, self._folder = program, folder
        self.index: Path | None = None
        top = self._run("rev-parse", "--show-toplevel")
        if top.returncode:
            raise UsageError(f"{folder} is in no git repository, so it has no branches",
                             hint="git init there, or publish without --branch")
        self._folder = Path(os.fsdecode(top.stdout.rstrip(b"\n")))

    def __call__(self, *words: str, given: bytes = b"") -> str:
        """Answer of a command; raises `StoreError` with what git says where it fails."""
        done = self._run(*words, given=given)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            first = "git config --global user.name NAME, and user.email" if (
                "user.email" in said) else ""
            raise StoreError(f"git {words[0]} failed: {said}", hint=first)
        return done.stdout.decode(errors="surrogateescape").strip("\n")

    def commit(self, ref: str) -> str:
        """The commit a ref stands for; empty where there is none."""
        done = self._run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return "" if done.returncode else done.stdout.decode().strip()

    def remote(self) -> str:
        """The remote to push to: ``origin``, or the first one."""
        remotes = self("remote").split()
        return "origin" if "origin" in remotes or not remotes else remotes[0]

    def refuse(self, branch: str) -> None:
        """Refuse names that no branch can have, and a branch that is checked out."""
        if self._run("check-ref-format", "--branch", branch).returncode or branch == "HEAD" or (
                branch.startswith(("-", "@"))):
            raise UsageError(f"no branch can be called {branch!r}", hint="--branch gh-pages")
        ref = f"refs/heads/{branch}"
        head = self._run("symbolic-ref", "--quiet", "HEAD").stdout.decode().strip()
        used = {line.removeprefix("branch ") for line in
                self("worktree", "list", "--porcelain").splitlines() if line.startswith("branch ")}
        if ref in {head, *used}:
            raise UsageError(f"the branch {branch} is checked out, and its working tree would no "
                             "longer be what it is at",
                             hint="switch to another branch, or name another one with --branch")

    def tree(self, pages: Path, parent: str) -> str:
        """The tree of the parent with the pages of last time replaced by those of now."""
        if parent:
            self("read-tree", parent)
            self._forget(parent)
        else:
            self("read-tree", "--empty")
        files = {path.relative_to(pages).as_posix(): path for path in sorted(pages.rglob("*"))
                 if path.is_file() and not path.is_symlink()}
        listed = "".join(f"{name}\n" for name in files)
        texts = {LIST: listed.encode(), NO_JEKYLL: b""}
        paths = "".join(f"{path.absolute()}\n" for path in files.values())
        blobs = self("hash-object", "-w", "--no-filters", "--stdin-paths",
                     given=os.fsencode(paths)).split()
        lines = [self._line(blob, name) for blob, name in zip(blobs, files, strict=True)]
        lines += [self._line(self("hash-object", "-w", "--stdin", given=text), name)
                  for name, text in texts.items()]
        # --replace: a page may have the name of what was a folder, and the other way round.
        self("update-index", "-z", "--add", "--replace", "--index-info", given=b"".join(lines))
        return self("write-tree")

    def _forget(self, parent: str) -> None:
        """Take the pages of last time out of the index."""
        done = self._run("cat-file", "blob", f"{parent}:{LIST}")
        if done.returncode == 0:
            names = b"\0".join(line for line in done.stdout.split(b"\n") if line)
            self("update-index", "-z", "--force-remove", "--stdin", given=names + b"\0")

    @staticmethod
    def _line(blob: str, name: str) -> bytes:
        return f"100644 {blob}\t{name}\0".encode()

    def _run(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        variables = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
        if self.index is not None:
            variables["GIT_INDEX_FILE"] = str(self.index)
        return subprocess.run([self._program, *words], cwd=self._folder, env=variables,
                              input=given, capture_output=True, check=False)
