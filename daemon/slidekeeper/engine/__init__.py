"""The engine: commits events, lets the table decide, hands commands to bounded lanes, and treats what fails."""
