"""The htable module: hash tables in shared memory."""
