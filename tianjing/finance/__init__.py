"""What a loan costs, exactly, and whether a text says so truthfully."""
