"""The plans of stagings, in the state folder."""
