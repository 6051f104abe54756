"""Making a proven copy visible."""
