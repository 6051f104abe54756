"""TIFF and BigTIFF: reading hostile headers safely, and planning a rewritten file byte by byte."""
