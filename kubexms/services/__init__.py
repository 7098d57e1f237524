"""The use cases: what the command line and the REST API both call."""
