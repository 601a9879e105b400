"""What is wrong with the state directory, as an exception."""

from __future__ import annotations


class RegistryError(Exception):
    """The registry cannot be read, or a change cannot be stored; nothing was changed."""


class RegistryBusyError(RegistryError):
    """Another process is changing the registry."""
