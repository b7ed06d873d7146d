"""What a process counts and times."""
