"""Documents to specifications: YAML and JSON with positions, variables, templates, secrets, inventories."""
