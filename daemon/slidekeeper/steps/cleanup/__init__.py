"""Cleanup: removes from the training roots what a verified version holds, and proves that nothing of it is left."""
