"""Shell text that several kinds share, by what it does. POSIX sh for dash, bash and busybox."""
