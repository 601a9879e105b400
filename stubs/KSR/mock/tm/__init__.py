"""The tm module: transactions and their branches."""
