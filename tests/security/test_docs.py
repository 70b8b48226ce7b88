"""The limits that docs/security.md names are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srbench import weights_sdist
from srbench.boards import markup, page
from srbench.boards.charts import history
from srbench.boards.pixels import clouds
from srbench.foreign import checkpoints, pickles, strict_json, torchfile
from srbench.foreign.torchfile import Limits
from srbench.results import per_image, reading, samples
from srbench_aim19 import archives, png

TEXT = " ".join((Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text(
    encoding="utf-8").split())
LIMITS = Limits.of(2**30)
MIB, GIB = 2**20, 2**30


@pytest.mark.parametrize("words", [
    f"torch older than **{'.'.join(map(str, torchfile.OLDEST))}** reads none",
    f"**{(LIMITS.memory - 512 * MIB) // GIB} times the file and 512 MiB** of memory",
    f"**{Limits.of(0).seconds} s** of processor time",
    "**twice the file and 96 MiB**", f"A file may have **{torchfile.LARGEST_FILE // GIB} GiB**",
    f"{LIMITS.tensors:,} tensors, {LIMITS.entries:,} entries, {LIMITS.depth} containers inside",
    f"{LIMITS.text // MIB} Mi characters of text, and tensors of twice its own size and 64 MiB",
    f"header may have **{checkpoints.LARGEST_HEADER // MIB} MiB**",
    f"at most {pickles.MOST_OPERATIONS:,} operations, {pickles.LARGEST_MEMO:,} remembered entries",
    f"A member may have {weights_sdist.LARGEST_MEMBER // MIB} MiB, the archive "
    f"{weights_sdist.LARGEST_ARCHIVE // MIB} MiB",
    f"more than **{archives.RATIO} times** its size", f"than **{archives.MOST_MEMBERS:,}** members",
    f"or {archives.LARGEST_DIRECTORY // MIB} MiB of their names",
    f"more than **{archives.LARGEST // GIB} GiB**",
    f"at most 2^{png._LARGEST.bit_length() - 1} pixels and {png._BYTES} bytes for each and "
    f"{png._BESIDE // MIB} MiB",
    f"at most 2^{samples.MOST_PIXELS.bit_length() - 1} pixels in {samples.LARGEST // MIB} MiB",
    f"at most **{reading.LARGEST // MIB} MiB**", f"at most {strict_json.DEEPEST} levels",
    f"at most {per_image.MOST_ROWS:,} rows and {per_image.MOST_VALUES:,} values in "
    f"{per_image.LARGEST // MIB} MiB",
    f"a history at most {history.MOST_ROWS:,} rows in {history.LARGEST // MIB} MiB",
    f"a palette at most {clouds.LARGEST // MIB} MiB",
    f"at most {markup.LONGEST:,} characters each",
    "JSON without " + ", ".join(f"`{letter}`" for letter in "<>") + " and `&`"])
def test_a_limit_is_told_as_it_is(words):
    assert words in TEXT


def test_written_and_content_follow_the_size():
    assert LIMITS.written == 2 * GIB + 96 * MIB
    assert LIMITS.content == 2 * GIB + 64 * MIB


def test_scripts_and_policy_of_pages_are_as_told():
    source = page.render_index([], [])
    assert "default-src 'none'" in source
    policy = source[source.index("default-src"):source.index('">', source.index("default-src"))]
    assert set(re.findall(r"(\w+)-src", policy)) == {"default", "img", "style", "script"}
    assert "'unsafe" not in policy
    assert "sha256-" in policy
    assert "own scripts alone" in TEXT
    assert not set(markup.script_json(["<>&"])) & set("<>&")


def test_every_verb_and_module_it_names_is_there():
    from srbench.cli.shell import VERBS
    from srbench.networks import read_checkpoint

    assert read_checkpoint is checkpoints.read_checkpoint
    assert {found for found in re.findall(r"`?srbench (\w+)", TEXT)} & set(VERBS) >= {"verify",
                                                                                      "show"}
