"""HTTP: settings, resources, GraphQL over HTTP, sign-in, GraphiQL, health, logging."""
