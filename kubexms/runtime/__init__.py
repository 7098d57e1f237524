"""Hosts and the connections to them: the only users of paramiko and subprocess."""
