"""How the rows of a micro-batch lie in one sequence, and what attends to what."""
