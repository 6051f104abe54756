"""Steps: each gets a command and ports, and returns an event; none calls another."""
