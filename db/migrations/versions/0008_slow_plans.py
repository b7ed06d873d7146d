"""The plans of slow statements.

Revision ID: 0008
"""

from pathlib import Path

from alembic import op

from db.migrations.script import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.drop_table("slow_plan")
