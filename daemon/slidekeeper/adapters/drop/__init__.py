"""Drop folders on a POSIX file system."""
