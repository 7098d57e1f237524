"""Specifications: frozen, pure data. No I/O, no behaviour, no knowledge of how."""
