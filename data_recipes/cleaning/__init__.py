"""Cleaning of raw dialogues before anything is learned from them."""
