"""Typed, frozen events (facts in the past tense) and commands (orders), and their wire forms."""
