"""The addresses of 127.0.0.0/8 that a stand-in hands out where something really listens."""

from __future__ import annotations

import os

# Two stand-ins on one machine are to take different addresses.
_SLICE = 100 + os.getpid() % 150


def of_pod(number: int) -> str:
    """Where a pod is reached."""
    return f"127.{_SLICE}.{number // 250 % 125}.{number % 250 + 1}"


def inside(address: str) -> str:
    """Where the process of the pod with this address listens."""
    first, second, third, fourth = address.split(".")
    return f"{first}.{second}.{int(third) + 125}.{fourth}"


def of_service(number: int) -> str:
    """Where a service is reached."""
    return f"127.{_SLICE}.250.{number % 250 + 1}"
