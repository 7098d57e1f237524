"""The use cases: what the command line calls, and whatever else may come to."""
