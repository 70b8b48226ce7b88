"""What the site has beyond docs/: the published boards, the changelog, how to contribute.

Links are written so that they hold in the repository; here those that leave docs/ are turned to
what the site has in their place.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# Where files of the repository stand on the site; a folder stands for all below it.
PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
         "README.md": "index.md"}
BOARDS, BOARDS_ON_SITE = "leaderboards/pages", "boards"
LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^()\s]+)\)")

log = logging.getLogger("mkdocs.hooks.srbench")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root, and the boards as they were published."""
    for source, page in PAGES.items():
        if page not in files.src_uris and (ROOT / source).is_file():
            files.append(File.generated(config, page,
                                        content=(ROOT / source).read_text(encoding="utf-8")))
    for path in sorted(path for path in (ROOT / BOARDS).rglob("*") if path.is_file()):
        name = path.relative_to(ROOT / BOARDS).as_posix()
        files.append(File.generated(config, f"{BOARDS_ON_SITE}/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page that leave docs/, and keep the numbers of tables on one line."""
    home = next((source for source, name in PAGES.items() if name == page.file.src_uri
                 and not (ROOT / "docs" / name).is_file()), f"docs/{page.file.src_uri}")
    markdown = re.sub(r"^\|.*", lambda row: row[0].replace(" ± ", "\u00a0±\u00a0"), markdown,
                      flags=re.MULTILINE)
    return LINK.sub(lambda match: _turned(match, home, page.file.src_uri, files), markdown)


def _turned(match: re.Match[str], home: str, here: str, files: Files) -> str:
    """One link of the file ``home`` of the repository, on the site's page ``here``."""
    text, (path, mark, anchor) = match["text"], match["target"].partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return match[0]
    place = posixpath.normpath(posixpath.join(posixpath.dirname(home), path))
    if place in PAGES:
        target = PAGES[place]
    elif place.startswith(f"{BOARDS}/"):
        target = f"{BOARDS_ON_SITE}/{place.removeprefix(f'{BOARDS}/')}"
    else:
        target = place.removeprefix("docs/")
    if files.get_file_from_path(target) is not None and (
            target != place or place in PAGES):
        relative = posixpath.relpath(target, posixpath.dirname(here) or ".")
        return f"{text}({relative}{mark}{anchor})"
    if not (ROOT / place).exists():
        log.warning("%s links to %s, which is not there", home, match["target"])
    return text.removeprefix("!")[1:-1]  # a file of the repository that the site does not have
