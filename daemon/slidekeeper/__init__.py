"""Slidekeeper: anonymizes, catalogues, stages and protects pathology slides between scanners and a training cluster."""

__version__ = "0.1.0"
