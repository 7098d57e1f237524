"""What hosts can be in a cluster."""

from __future__ import annotations

CONTROL_PLANE = "control-plane"
WORKER = "worker"
LOAD_BALANCER = "load-balancer"
ETCD = "etcd"
ROLES = (CONTROL_PLANE, WORKER, LOAD_BALANCER, ETCD)
"""What hosts can be in a cluster; a host may have other roles besides, which mean nothing here."""

NODE_ADDRESS = "nodeAddress"
"""The host variable that names a node's own address where it is not the one kubexms connects to."""
