"""A cluster of real Kubernetes: kubexms beside a shell script that does the same with kubeadm.

Run as `python -m benchmarks.cluster`.
"""
