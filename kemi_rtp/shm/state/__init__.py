"""Shared memory as it is read and written inside Kamailio: one room per process that does it.

This is the only code that touches KSR.htable.
"""
