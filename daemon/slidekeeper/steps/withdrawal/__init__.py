"""Withdrawal of consent: slides, records and links of somebody are removed everywhere."""
