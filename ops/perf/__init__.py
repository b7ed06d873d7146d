"""`rollcall perf`: what makes the running service slow, where its time goes, and what it does under load."""
