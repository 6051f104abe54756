"""Frozen settings, one section per concern; from TOML, environment, ``.env`` and command line, in rising priority."""
