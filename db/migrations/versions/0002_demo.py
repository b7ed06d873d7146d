"""Where the demo company of a database comes from, so that it can be brought up to date.

Revision ID: 0002
"""

from pathlib import Path

from alembic import op

from db.migrations.script import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    op.drop_table("demo_company")
