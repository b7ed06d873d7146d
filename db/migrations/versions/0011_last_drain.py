"""The last drain that changed anything.

Revision ID: 0011
"""

from pathlib import Path

from db.migrations.script import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    run_script("ALTER TABLE cache_state DROP last_drain")
