"""The ground: the whole data model, in the SQL file beside this one.

Revision ID: 0001
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("0001 is the ground: drop the database instead")
