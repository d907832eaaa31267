"""Raw dialogues to clean ones: each step keeps, counts and explains what it changes or drops."""
