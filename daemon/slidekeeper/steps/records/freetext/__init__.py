"""Scrubbing of clinical free text: what is known of the patient goes first, then what looks like an identifier, then what a model calls a name."""
