"""The doors to everything outside: Protocols that steps and engine speak to, and adapters implement."""
