"""Where runs came from."""
