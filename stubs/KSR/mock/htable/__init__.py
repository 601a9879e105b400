"""What KSR.htable works with: hash tables in shared memory. Its functions are in modules/htable.py."""
