"""Pseudo-variables."""
