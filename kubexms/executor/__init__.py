"""Execution: order, concurrency, hooks, results. The coordinator owns all bookkeeping."""
