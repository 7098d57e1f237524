"""Views: models in, text out. They see data only, never services, hosts or files."""
