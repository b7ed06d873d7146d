"""What the API returns: GraphQL types, roots, scalars; `schema.graphql` is printed from them."""
