"""The built-in step kinds, one module each: a spec class (data) and its executor (behaviour)."""
