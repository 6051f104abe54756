"""Staging: a cohort is copied to a tier, verified, and taken away again."""
