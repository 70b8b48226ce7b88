"""What lies in the temporary directory before a page's blocks run: what the page talks about."""

from __future__ import annotations

# Shell lines for each page; $REPOSITORY is this repository. Not shown to readers, so they hold
# nothing that a reader has to do.
PREPARED = {
    "docs/leaderboards.md": """
        mkdir -p leaderboards/records
        cp $REPOSITORY/leaderboards/w2-early@embedded.toml leaderboards
        cp -r $REPOSITORY/leaderboards/records/w2-early@embedded leaderboards/records
        srbench run --methods identity,bicubic --dataset w2-early
        git init -q --bare web
        git init -q . && git config user.name Reader && git config user.email reader@example.org
        git remote add origin ./web
        git add leaderboards && git commit -qm Start
    """,
    "docs/security.md": """
        srbench run --methods identity,bicubic --dataset w2-early --metrics psnr
    """,
    "docs/results.md": """
        ln -s $REPOSITORY/leaderboards leaderboards
    """,
}
