"""Ids of punches carry the month, and unmatched punches keep their events.

Revision ID: 0007
"""

from pathlib import Path

from alembic import op

from db.migrations.script import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.drop_column("punch_unmatched", "client_event_id")
    op.execute("DROP FUNCTION punch_id")
