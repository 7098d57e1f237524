"""Planning: observed against desired state, as data, before anything is touched."""
