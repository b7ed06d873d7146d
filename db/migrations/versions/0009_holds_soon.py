"""How soon holds count after the fence has moved.

Revision ID: 0009
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("0009 replaces functions of 0003: restore a backup instead")
