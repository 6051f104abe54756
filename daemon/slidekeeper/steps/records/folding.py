"""One spelling for all spellings: what the audit compares. Case, accents, punctuation and leading zeros make no difference."""

from __future__ import annotations

import polars as pl

UNDECOMPOSED = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "\u0131": "i", "ħ": "h"}
"""Letters that NFKD (Unicode Standard Annex 15) leaves whole."""

UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "Å": "Aa"}
"""How names are written where the keyboard lacks the letter."""


def folded(texts: pl.Series) -> pl.Series:
    """Words without accents, in small letters, one space between them: ``O'Brien-Müller`` is ``o brien muller``."""
    accented = texts.str.len_bytes() != texts.str.len_chars()
    plain = texts.str.to_lowercase()
    if accented.any():
        plain = plain.scatter(accented.arg_true(), _without_accents(texts.filter(accented)))
    return plain.str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()


def _without_accents(texts: pl.Series) -> pl.Series:
    """Small letters, as far as they are letters of the Latin alphabet without any mark."""
    small = texts.str.normalize("NFKD").str.to_lowercase().str.replace_all(r"\p{M}+", "")
    return small.str.replace_many(list(UNDECOMPOSED), list(UNDECOMPOSED.values()))


def compact(words: pl.Series) -> pl.Series:
    """Folded words run together; numbers without leading zeros: ``s16 00042`` is ``s1600042``, ``00 42`` is ``42``."""
    joined = words.str.replace_all(" ", "", literal=True)
    return without_zeros(joined)


def without_zeros(joined: pl.Series) -> pl.Series:
    """Leading zeros removed from what has digits only."""
    zero = joined.str.starts_with("0")
    if not zero.any():
        return joined
    return joined.clone().scatter(zero.arg_true(), joined.filter(zero).str.replace(r"^0+([0-9]+)$", "${1}"))


def digits_only(words: pl.Series) -> pl.Series:
    """Digits of a text, without leading zeros: ``s16 00042`` is ``1600042``."""
    return words.str.replace_all(r"[^0-9]+", "").str.strip_chars_start("0")


def with_umlauts_spelled_out(texts: pl.Series) -> pl.Series:
    """Those texts that have umlauts, with two letters for each."""
    umlauts = texts.filter(texts.str.contains("[äöüÄÖÜåÅ]"))
    return umlauts.str.replace_many(list(UMLAUTS), list(UMLAUTS.values()))
