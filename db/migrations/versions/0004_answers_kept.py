"""The rows of the first answer beside its keys, for retries.

Revision ID: 0004
"""

from pathlib import Path

from alembic import op

from db.migrations.script import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.drop_column("idempotency_key", "answer")
    op.drop_column("idempotency_key", "answer_shape")
