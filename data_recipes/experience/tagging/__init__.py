"""Tagging of turns: acts and situations by lexicon, by a few labels, by clusters, and by a teacher if there is one."""
