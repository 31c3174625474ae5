"""Kubernetes: what can be harmed and healed in a cluster; ``access`` alone knows its client."""
