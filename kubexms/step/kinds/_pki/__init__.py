"""Keys and certificates on hosts: what is there, what several hosts share, and what an authority signs."""
