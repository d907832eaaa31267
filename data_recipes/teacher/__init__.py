"""A teacher model writes wording from cited evidence only, and every piece of it is checked."""
