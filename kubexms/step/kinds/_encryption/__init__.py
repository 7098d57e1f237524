"""What API servers encrypt with and can read, and whether others may go on from there."""
