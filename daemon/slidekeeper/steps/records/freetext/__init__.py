"""Scrubbing of clinical free text: what is known of the patient, what looks like an identifier, what a model calls a name."""
