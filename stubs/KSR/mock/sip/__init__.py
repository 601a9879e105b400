"""SIP messages and their text."""
