"""The cache protocol made exact: who may rely on a hold, when nobody caches, which PostgreSQL this is, partitions.

Revision ID: 0003
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("0003 replaces functions of 0001: restore a backup instead")
