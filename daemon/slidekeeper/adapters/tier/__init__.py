"""Tiers as folders: where training reads from."""
