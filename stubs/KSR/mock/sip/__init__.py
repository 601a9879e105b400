"""SIP messages and their text: parsing, editing, replies, and messages for tests."""
