"""Pseudo-variables: the table of them, how a name is parsed, and those that the pv module exports."""
