"""Preference training: pairs of answers, their losses, and their trainer."""
