"""Brings a version back: decisions in `plan.py` and `selection.py`, files by descriptor in `target.py`, all together in `restore.py`."""
