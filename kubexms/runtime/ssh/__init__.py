"""SSH as a transport: the only place where paramiko is used."""
