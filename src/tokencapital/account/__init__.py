"""The books: what the loop spent, double entry, and the statements that are read out of it."""
