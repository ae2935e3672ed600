"""Checks of the Kubernetes manifests and Dockerfiles that need no cluster and no container engine."""
