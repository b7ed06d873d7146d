"""`rollcall db slow-query`: which statements take the time, who sends them, and what would make them faster."""
