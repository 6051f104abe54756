"""A second bucket that follows the first."""
