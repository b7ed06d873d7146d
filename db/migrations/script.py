"""Runs a migration that is written as a script of SQL: asyncpg takes many statements only outside prepared ones."""

from alembic import op
from sqlalchemy.util import await_only


def run_script(sql: str) -> None:
    """Run every statement of `sql` in the transaction of the migration."""
    bind = op.get_bind()
    bind.exec_driver_sql("SELECT 1")  # SQLAlchemy begins the transaction with its first own statement
    driver = bind.connection.driver_connection
    assert driver is not None
    await_only(driver.execute(sql))
