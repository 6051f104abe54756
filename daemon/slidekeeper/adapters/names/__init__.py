"""Statistical models that find names."""
