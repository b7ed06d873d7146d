"""A writer that freezes while it waits for the end of a fence is ended after 4.7 s instead of 10.

Revision ID: 0013
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("0013 replaces functions of earlier revisions: restore a backup instead")
