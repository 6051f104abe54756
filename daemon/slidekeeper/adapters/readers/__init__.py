"""Independent readers of finished slides."""
