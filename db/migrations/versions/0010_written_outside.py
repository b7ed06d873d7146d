"""Which changes in the outbox are from outside.

Revision ID: 0010
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    run_script("ALTER TABLE cache_outbox DROP outside")
