"""`python -m ops` is `rollcall`."""

from ops.cli import main

main()
