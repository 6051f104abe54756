"""The capacity tier on a POSIX file system."""
