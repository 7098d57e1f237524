"""kubexms: declarative plan/apply for Linux hosts and the Kubernetes clusters on them."""

__version__ = "0.1.0"
