"""PostgreSQL: tables, frozen rows, every SQL statement, unit of work, migrations, embedded servers."""
