"""What KSR.tm works with: transactions and their branches. Its functions are in modules/tm.py."""
