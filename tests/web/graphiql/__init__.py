"""The GraphiQL page: its routes, its examples and what a headless Chromium makes of it."""
