"""The cache is back sooner after a suspension, and the fence may be on its way to another Redis.

Revision ID: 0012
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("0012 replaces functions of earlier revisions: restore a backup instead")
