"""A private real PostgreSQL and a private real Valkey under a data folder, alive while any process holds a lease."""

from db.embedded.binaries import EmbeddedServerError, WrongProgram
from db.embedded.lease import EmbeddedServers, lease

__all__ = ["EmbeddedServerError", "EmbeddedServers", "WrongProgram", "lease"]
