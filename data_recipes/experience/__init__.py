"""The group's experience: acts and situations, procedures, practices by outcome, and their review."""
