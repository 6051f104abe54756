"""Everything about versions that are stored: compared, verified, scrubbed, exported, and in the end, by policy only, removed.

One room, for they share one question: which stored objects does which version need?
"""
