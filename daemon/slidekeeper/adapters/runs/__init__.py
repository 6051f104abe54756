"""Training roots on a POSIX file system: watched from above, and cleaned without ever leaving them."""
