"""The zones that locations had before their present ones, so that old days keep theirs.

Revision ID: 0005
"""

from pathlib import Path

from alembic import op

from db.migrations.script import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.drop_table("location_past_zone")
