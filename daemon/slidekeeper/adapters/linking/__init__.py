"""The linking table in SQLite: values sealed with AES-GCM, looked up by keyed hash."""
