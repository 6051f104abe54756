"""The version store on a POSIX file system; `docs/version-store.md` is its format."""
