"""Builders: from a description of a whole (a cluster) to a PipelineSpec, in small passes."""
