"""The HTTP side: GraphQL over HTTP, limits, sign-in, the application."""
