"""Kubernetes clusters on the testbed's hosts, with the real programs of Kubernetes.

`supply` builds what a cluster needs once per recipe, as a directory of artifacts; `missing` says why this
machine cannot have it.
"""
