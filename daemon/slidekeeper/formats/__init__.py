"""Slide formats, one module each: they recognize a file, say whether it is whole, and plan its anonymization from the headers."""
