"""State: what kubexms knows that the hosts cannot tell."""
