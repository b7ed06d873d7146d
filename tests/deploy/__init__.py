"""Whether what lies in deploy/ is right: read by the programs that it is for, and run for real."""
