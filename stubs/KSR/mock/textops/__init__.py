"""What KSR.textops works with: edits of the received text. Its functions are in modules/textops.py."""
