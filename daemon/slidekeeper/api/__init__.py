"""The HTTP API: one door for the command line, and later for programs and the web interface."""
