"""What the textops module edits with."""
