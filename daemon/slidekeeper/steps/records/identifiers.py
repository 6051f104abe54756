"""All identifiers of a batch as a set of hashes, and the search for them.

Why sets and not an automaton for many patterns: a batch has up to millions of identifiers, over which an automaton takes gigabytes and
minutes to build, and finds "Lee" within "sleep" besides. Membership in a sorted array of hashes takes eight bytes for each identifier
and a handful of steps for each word, whatever their number. The hashes are of the whole spelling; nothing readable is kept.

What is found: an identifier as a whole cell, or as whole words within a text, in any spelling that folds to the same (case, accents,
umlauts, punctuation, spaces, leading zeros); the digits alone of ids, file names and phone numbers; single words of names; the first
words of long values; dates in their usual spellings; numbers of five and more digits even when letters touch them.

What cannot be found: values of fewer than four characters, numbers of fewer than five digits (a house number, a year), a name that is
joined to other letters, a misspelt one. Free text and ages are no identifiers in this sense: the one may pass its scrubber unchanged,
the other is too short.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from slidekeeper.model.contract import TIMES, Column, Contract, Identifies
from slidekeeper.steps.records.date_spellings import days_in, spellings
from slidekeeper.steps.records.folding import compact, digits_only, folded, with_umlauts_spelled_out, without_zeros
from slidekeeper.steps.records.typed_cells import day

if TYPE_CHECKING:
    from slidekeeper.steps.records.canaries import CanaryValues

NOT_SEARCHED = frozenset({Identifies.FREE_TEXT, Identifies.AGE})
DATED = frozenset({Identifies.DATE, Identifies.BIRTH_DATE})
NUMBERED = frozenset({Identifies.ID, Identifies.FILE_NAME, Identifies.PHONE, Identifies.OTHER})
LONGEST_NUMBER = 17
"""Digits; what is longer no chance explains."""
SHORTEST_WORD, SHORTEST_NUMBER, SHORTEST_DIGITS = 4, 5, 6
MOST_WORDS = 6
"""Longest run of words that is compared; of longer identifiers the first that many words."""
STREET_WORDS = 3
"""A house number and a street are enough of an address."""
CELLS_AT_ONCE = 50_000
CHANCE = 1e-4
"""A column of numbers is reported when so many hits would come about by chance in fewer than one of 10,000 such columns."""

KINDS = tuple(Identifies)
HASHED = ~np.uint64(15)
"""The bits of a marked hash that are hash. 60 suffice: 24 million spellings and 10 million words meet by chance in one batch of 5,000."""
_NOTHING = (np.array([], np.uint64), np.array([], np.int64))
Hashes = npt.NDArray[np.uint64]
Small = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class Identifiers:
    """Every spelling of every identifier of a batch, hashed. Grows with :meth:`merged`, ``|`` and :meth:`with_canary`."""

    _marked: Hashes
    """Hashes, the last bits of which are the index of their kind in :data:`KINDS`; sorted, distinct."""
    _numbers: Numbers
    """Those spellings that are digits alone; sorted, distinct. Only how densely they lie is read from them."""
    canaries: tuple[CanaryValues, ...] = ()

    def __repr__(self) -> str:
        return f"<Identifiers: {len(self._marked)} spellings>"

    @classmethod
    def from_values(cls, values: Iterable[tuple[Identifies, str]]) -> Identifiers:
        """Collect raw cells with the way in which their column identifies. For whole columns :meth:`from_rows` is much faster."""
        cells: dict[Identifies, set[str]] = {}
        for kind, value in values:
            cells.setdefault(kind, set()).add(value)
        return cls._collected((kind, pl.Series(list(found), dtype=pl.String)) for kind, found in cells.items())

    @classmethod
    def from_rows(cls, rows: pl.DataFrame, contract: Contract) -> Identifiers:
        """Collect all cells of all identifying columns of a raw table; dates are read as the contract says, not guessed."""
        telling = [column for column in contract.columns if column.identifies is not Identifies.NOT]
        return cls._collected((column.identifies, rows.select(_as_spelled(column)).to_series()) for column in telling)

    @classmethod
    def of_canary(cls, canary: CanaryValues) -> Identifiers:
        """A canary's values, and the canary itself."""
        plain = cls.from_values(canary.values)
        return cls(plain._marked, plain._numbers, (canary,))

    @classmethod
    def left_in(cls, place: Path) -> Identifiers:
        """What :meth:`leave` left there.

        Raises:
            OSError: it may not be read.
        """
        with place.open("rb") as lent:
            return cls(np.load(lent), np.load(lent))

    def leave(self, place: Path) -> None:
        """Write them into lent memory; canaries are no part of that.

        Raises:
            OSError: it may not be written.
        """
        with place.open("wb") as lent:
            np.save(lent, self._marked)
            np.save(lent, self._numbers)

    @classmethod
    def merged(cls, parts: Sequence[Identifiers]) -> Identifiers:
        """All together; sorting them once is much faster than adding one to another."""
        return _joined(((part._marked, part._numbers) for part in parts), tuple(canary for part in parts for canary in part.canaries))

    def __or__(self, other: Identifiers) -> Identifiers:
        return Identifiers.merged((self, other))

    def with_canary(self, canary: CanaryValues) -> Identifiers:
        """These and a canary's; :func:`~slidekeeper.steps.records.audit.audit` then proves that it sees them."""
        return self | Identifiers.of_canary(canary)

    def in_texts(self, cells: pl.Series) -> pl.DataFrame:
        """Search texts: ``index`` (of the cell) and ``kind`` (of :class:`Identifies`) of every hit, each pair once."""
        parts = [self._in_slice(cells.slice(start, CELLS_AT_ONCE), start) for start in range(0, len(cells), CELLS_AT_ONCE)]
        return pl.concat(parts).unique() if parts else _hits([], [])

    def in_numbers(self, digits: pl.Series) -> pl.DataFrame:
        """Search distinct numbers, given as text: hits as :meth:`in_texts`, but only more than chance explains.

        With a million identifiers of eight digits, every hundredth number of eight digits is somebody's. So hits are counted for each
        length and compared with those to expect of numbers that mean nothing: by how many identifiers of that length there are, and by
        how densely they lie around the numbers searched, for both may crowd in one region (postal codes of a state, distances in days).
        The bound is that of a Poisson variable, simplified to ``mean ** hits / hits!``.
        """
        plain = without_zeros(digits)
        lengths = plain.str.len_bytes().to_numpy()
        index, kind = self._members(plain)
        chosen = np.zeros(len(index), dtype=bool)
        for length in np.unique(lengths[index]):
            if length >= SHORTEST_NUMBER and self._exceeds_chance(plain.filter(lengths == length), (hit := lengths[index] == length).sum()):
                chosen |= hit
        return _hits(index[chosen], kind[chosen])

    def _exceeds_chance(self, numbers: pl.Series, hits: int) -> bool:
        """Whether ``hits`` among distinct numbers of one length are too many for chance."""
        low = 10 ** (numbers.str.len_bytes()[0] - 1)
        if low > 10**LONGEST_NUMBER:
            return True
        evenly = self._between(np.array([low]), np.array([10 * low]))[0] / (9 * low)
        values, reach = numbers.cast(pl.Int64).sort().to_numpy(), low // 100
        around = (self._between(values - reach, values + reach + 1) - self._between(values, values + 1)) / (2 * reach)
        expected = max(len(values) * evenly, float(around.sum()))
        return bool(hits * math.log(expected) - math.lgamma(hits + 1) < math.log(CHANCE))

    def _between(self, low: Numbers, high: Numbers) -> npt.NDArray[np.int64]:
        """How many identifiers lie in each of some ranges (closed-open)."""
        return np.searchsorted(self._numbers, high) - np.searchsorted(self._numbers, low)

    def _in_slice(self, cells: pl.Series, start: int) -> pl.DataFrame:
        """Hits in some texts, whose first has the index ``start``."""
        words = folded(cells.alias("word"))
        index = pl.Series("index", np.arange(start, start + len(cells)))
        found = [_at(index, compact(words), self)]
        numbers = pl.DataFrame([index, words.str.extract_all(f"[0-9]{{{SHORTEST_NUMBER},}}")]).explode("word").drop_nulls()
        found += [_at(numbers["index"], numbers["word"], self), _at(numbers["index"], without_zeros(numbers["word"]), self)]
        tokens = pl.DataFrame([index, words.str.split(" ")]).explode("word").drop_nulls()
        found += [_at(runs["index"], without_zeros(runs["word"]), self) for runs in _runs(tokens)]
        return pl.concat(found).unique()

    def _members(self, spelled: pl.Series) -> tuple[npt.NDArray[np.int64], Small]:
        """Positions of those spellings that belong to an identifier, and its kind."""
        if not len(self._marked) or not len(spelled):
            return np.array([], dtype=np.int64), np.array([], dtype=np.uint8)
        hashes = spelled.hash().to_numpy() & HASHED
        order = np.argsort(hashes)  # in order, neighbours are looked for in the same pages
        place = np.minimum(np.searchsorted(self._marked, hashes[order]), len(self._marked) - 1)
        found = self._marked[place]
        known = (found & HASHED == hashes[order]) & spelled.is_not_null().to_numpy()[order]
        return order[known], (found[known] & ~HASHED).astype(np.uint8)

    @classmethod
    def _collected(cls, cells: Iterable[tuple[Identifies, pl.Series]]) -> Identifiers:
        """Spell, filter and hash, column by column; all are sorted together, once."""
        with ThreadPoolExecutor(pl.thread_pool_size()) as pool:  # polars lets other threads go on, and needs one for a column
            parts = list(pool.map(lambda cell: _of_column(*cell), [cell for cell in cells if cell[0] not in NOT_SEARCHED]))
        return _joined(chain.from_iterable(parts), ())


def _as_spelled(column: Column) -> pl.Expr:
    """The cells of a column; days in the one spelling that nobody mistakes."""
    return day(column).dt.strftime("%Y-%m-%d") if column.type in TIMES else pl.col(column.name)


def _of_column(kind: Identifies, cells: pl.Series) -> list[tuple[Hashes, Numbers]]:
    """Marked hashes and numbers, one pair for each way of spelling."""
    return [_of_spelling(kind, spelled) for spelled in _spelled(kind, cells.drop_nulls().unique())]


def _of_spelling(kind: Identifies, spelled: pl.Series) -> tuple[Hashes, Numbers]:
    """Marked hashes of those spellings that can be searched, and those that are numbers; both in order."""
    digits, length = spelled.str.contains("^[0-9]+$"), spelled.str.len_chars()
    searchable = (length >= SHORTEST_WORD) & (~digits | (length >= SHORTEST_NUMBER))
    numbers = spelled.filter(searchable & digits & (length <= LONGEST_NUMBER + 1)).cast(pl.Int64)
    hashes = spelled.filter(searchable).drop_nulls().hash().sort().to_numpy()
    return hashes & HASHED | np.uint64(KINDS.index(kind)), numbers.drop_nulls().sort().to_numpy()


def _spelled(kind: Identifies, values: pl.Series) -> Iterator[pl.Series]:
    """All spellings of values, folded and compact."""
    texts = pl.concat([values, with_umlauts_spelled_out(values)])
    words = folded(texts)
    joined = words.str.replace_all(" ", "", literal=True)
    yield without_zeros(joined)
    # Without its zeros 02155 is too short to mean anything; as it stands it is not.
    yield joined.filter(joined.str.contains("^0[0-9]+$"))
    yield _first_words(words.filter(words.str.count_matches(" ", literal=True) >= MOST_WORDS), MOST_WORDS)
    if kind in NUMBERED:
        digits = digits_only(words)
        yield digits.filter(digits.str.len_bytes() >= SHORTEST_DIGITS)
    if kind is Identifies.FILE_NAME:
        yield compact(folded(texts.str.replace(r"\.[A-Za-z0-9]{1,5}$", "")))
    if kind is Identifies.NAME:
        single = words.str.split(" ").explode()
        yield single.filter(~single.str.contains("^[0-9]+$"))
    if kind is Identifies.ADDRESS:
        yield _first_words(words.filter(words.str.contains("^[0-9]+ ")), STREET_WORDS)
    if kind in DATED:
        yield spellings(days_in(values))


def _first_words(words: pl.Series, count: int) -> pl.Series:
    """The first words of long texts, joined."""
    return compact(words.str.split(" ").list.head(count).list.join(" "))


def _runs(tokens: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Runs of one to :data:`MOST_WORDS` neighbouring words of each text, joined."""
    joined = tokens
    for more in range(MOST_WORDS):
        if more:
            follows = pl.col("index").shift(-more) == pl.col("index")
            joined = tokens.select("index", word=pl.concat_str([pl.col("word").shift(-each) for each in range(more + 1)])).filter(
                tokens.select(follows.fill_null(False)).to_series()
            )
        yield joined


def _at(index: pl.Series, spelled: pl.Series, identifiers: Identifiers) -> pl.DataFrame:
    """Hits among spellings that stand in the cells ``index``."""
    members, kinds = identifiers._members(spelled)
    return _hits(index.to_numpy()[members], kinds)


def _hits(index: Iterable[int], kinds: Iterable[int]) -> pl.DataFrame:
    """The frame in which hits are handed on."""
    names = [KINDS[kind].value for kind in kinds]
    return pl.DataFrame({"index": list(index), "kind": names}, schema={"index": pl.Int64, "kind": pl.String})


def _joined(parts: Iterable[tuple[Hashes, Numbers]], canaries: tuple[CanaryValues, ...]) -> Identifiers:
    """Identifiers from runs of marked hashes and numbers, each in order, with repetitions."""
    marked, numbers = (np.concatenate(each) for each in zip(_NOTHING, *parts, strict=True))
    marked.sort(kind="stable")  # merges what is in order already
    numbers.sort(kind="stable")
    return Identifiers(marked[_distinct(marked)], numbers[_distinct(numbers)], canaries)


def _distinct(ordered: Hashes | Numbers) -> npt.NDArray[np.bool_]:
    """Which of some sorted values differ from the one before."""
    return np.concatenate([np.ones(min(1, len(ordered)), dtype=bool), ordered[1:] != ordered[:-1]])
