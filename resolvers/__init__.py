"""What an operation does: `(parent row, info, args) -> row`, input types, permissions."""
