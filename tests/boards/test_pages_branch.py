"""Pages on a branch, in real repositories: nothing else is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from srbench.boards.pages_branch import LIST, check_branch, commit_pages
from srbench.errors import MissingDependency, StoreError, UsageError

MESSAGE = "Leaderboards"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a commit, a staged change, a changed file and an untracked one."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "gitconfig").write_text("[user]\n name = A\n email = a@example.org\n"
                                        "[core]\n autocrlf = true\n")
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "code.py").write_text("1\n")
    git(folder, "add", "code.py")
    git(folder, "commit", "--quiet", "-m", "first")
    (folder / "code.py").write_text("2\n")
    (folder / "staged.py").write_text("3\n")
    git(folder, "add", "staged.py")
    pages = folder / "leaderboards" / "pages"
    (pages / "w2-pixels").mkdir(parents=True)
    (pages / "index.html").write_bytes(b"<html>\r\n")
    (pages / "w2.html").write_bytes(b"w2\n")
    (pages / "w2-pixels" / "hr_0.png").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def pages(repository: Path) -> Path:
    return repository / "leaderboards" / "pages"


def state(folder: Path) -> tuple[str, ...]:
    """All that must stay: status, index, branch, commit, stash, other refs."""
    return (git(folder, "status", "--porcelain"), git(folder, "ls-files", "--stage"),
            git(folder, "symbolic-ref", "HEAD"), git(folder, "rev-parse", "HEAD"),
            git(folder, "stash", "list"), (folder / "code.py").read_text())


def names(folder: Path, branch: str = "gh-pages") -> set[str]:
    return set(git(folder, "ls-tree", "-r", "--name-only", branch).splitlines())


def blob(folder: Path, name: str, branch: str = "gh-pages") -> bytes:
    return subprocess.run(["git", "cat-file", "blob", f"{branch}:{name}"], cwd=folder, check=True,
                          capture_output=True).stdout


def test_the_first_commit_has_no_parent_and_holds_the_pages(repository, pages):
    before = state(repository)
    done = commit_pages(pages, "gh-pages", MESSAGE)

    assert state(repository) == before
    assert done.changed
    assert done.commit == git(repository, "rev-parse", "gh-pages")
    assert done.push == "git push origin gh-pages"
    assert git(repository, "log", "--format=%s|%P|%an", "gh-pages") == f"{MESSAGE}||A"
    assert names(repository) == {"index.html", "w2.html", "w2-pixels/hr_0.png", ".nojekyll", LIST}
    assert blob(repository, "index.html") == b"<html>\r\n", "bytes, whatever autocrlf says"
    assert blob(repository, "w2-pixels/hr_0.png") == bytes(range(256))
    assert blob(repository, ".nojekyll") == b""


def test_the_same_pages_make_no_commit(repository, pages):
    first = commit_pages(pages, "gh-pages", MESSAGE)
    again = commit_pages(pages, "gh-pages", MESSAGE)
    assert (again.changed, again.commit) == (False, first.commit)


def test_pages_that_are_gone_go_and_other_files_stay(repository, pages, tmp_path):
    commit_pages(pages, "gh-pages", MESSAGE)
    other = tmp_path / "other"
    git(repository, "worktree", "add", "--quiet", str(other), "gh-pages")
    (other / "CNAME").write_text("example.org\n")
    git(other, "add", "CNAME")
    git(other, "commit", "--quiet", "-m", "domain")
    git(repository, "worktree", "remove", str(other))
    (pages / "w2.html").unlink()
    (pages / "w2-pixels" / "hr_0.png").unlink()
    (pages / "w2-pixels").rmdir()
    (pages / "w2-pixels").write_bytes(b"a file where a folder was")
    before = state(repository)
    commit_pages(pages, "gh-pages", MESSAGE)

    assert state(repository) == before
    assert names(repository) == {"index.html", "w2-pixels", "CNAME", ".nojekyll", LIST}
    assert blob(repository, "CNAME") == b"example.org\n"
    assert git(repository, "rev-list", "--count", "gh-pages") == "3"


def test_a_fresh_clone_goes_on_from_the_remotes_branch(repository, pages, tmp_path):
    commit_pages(pages, "gh-pages", MESSAGE)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(repository), str(clone))
    folder = clone / "pages"
    folder.mkdir()
    (folder / "index.html").write_text("new\n")
    done = commit_pages(folder, "gh-pages", MESSAGE)
    assert git(clone, "rev-parse", f"{done.commit}^") == git(repository, "rev-parse", "gh-pages")
    git(clone, *done.push.split()[1:])
    assert git(repository, "rev-parse", "gh-pages") == done.commit


def test_equal_pages_of_the_remote_make_a_local_branch_of_it(repository, pages, tmp_path):
    first = commit_pages(pages, "gh-pages", MESSAGE)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(repository), str(clone))
    os.renames(pages, clone / "pages")
    done = commit_pages(clone / "pages", "gh-pages", MESSAGE)
    assert (done.changed, done.commit) == (False, first.commit)
    assert git(clone, "rev-parse", "refs/heads/gh-pages") == first.commit


def test_another_remote_is_named(repository, pages):
    git(repository, "remote", "add", "upstream", "https://example.org/x.git")
    assert commit_pages(pages, "pages", MESSAGE).push == "git push upstream pages"


@pytest.mark.parametrize("branch", ["", "-x", "a b", "a..b", "HEAD", "@", "x.lock", "a\nb"])
def test_names_no_branch_can_have(repository, pages, branch):
    with pytest.raises(UsageError, match="no branch can be called"):
        commit_pages(pages, branch, MESSAGE)


def test_a_branch_that_is_checked_out_is_refused(repository, pages, tmp_path):
    with pytest.raises(UsageError, match="main is checked out"):
        commit_pages(pages, "main", MESSAGE)
    git(repository, "worktree", "add", "--quiet", "-b", "gh-pages", str(tmp_path / "other"))
    with pytest.raises(UsageError, match="gh-pages is checked out"):
        check_branch(pages, "gh-pages")


def test_a_branch_without_a_commit_that_is_checked_out_is_refused(tmp_path, repository):
    folder = tmp_path / "empty"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=gh-pages")
    with pytest.raises(UsageError, match="checked out"):
        commit_pages(folder, "gh-pages", MESSAGE)


def test_no_repository(tmp_path, repository):
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(UsageError) as raised:
        commit_pages(folder, "gh-pages", MESSAGE)
    assert "is in no git repository" in raised.value.message
    assert "git init" in raised.value.hint


def test_nobody_to_sign_it(repository, pages, tmp_path, monkeypatch):
    (tmp_path / "gitconfig").write_text("[user]\n useConfigOnly = true\n")
    before = state(repository)
    with pytest.raises(StoreError) as raised:
        commit_pages(pages, "gh-pages", MESSAGE)
    assert "git config" in raised.value.hint
    assert state(repository) == before
    assert not git(repository, "branch", "--list", "gh-pages")


def test_no_git(repository, pages, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependency, match="git is not installed"):
        check_branch(pages, "gh-pages")


def test_links_are_not_followed(repository, pages, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (pages / "link.html").symlink_to(tmp_path / "secret")
    commit_pages(pages, "gh-pages", MESSAGE)
    assert "link.html" not in names(repository)
