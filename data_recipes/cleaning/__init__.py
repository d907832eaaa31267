"""Raw dialogues to clean ones: normalised, redacted, deduplicated and checked, at the pace of all cores."""
