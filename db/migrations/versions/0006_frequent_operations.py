"""What is asked most, for warming the cache.

Revision ID: 0006
"""

from pathlib import Path

from alembic import op

from db.migrations.script import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.drop_table("frequent_operation")
