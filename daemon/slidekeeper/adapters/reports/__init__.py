"""Reports for the hospital, as files."""
