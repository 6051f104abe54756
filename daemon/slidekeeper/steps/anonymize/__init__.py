"""Anonymizing a settled pack: plan, splice aside with the search in the same pass, proof by another reader, identity."""
