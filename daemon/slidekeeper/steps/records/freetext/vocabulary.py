"""Which words are no names by themselves: the language of reports, eponyms among it (Gleason, Hodgkin, Paget)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

ENDINGS = tuple(
    "tion sion oma omas itis osis oses asis emia uria pathy ology scopy scopic ectomy otomy ostomy plasia plastic ment ness able".split()
    + "ible ally edly ious eous inal onal ular atic etic itic otic genic philic graphy graphic cyte cytes blast blasts".split()
    + "izing ating ized ated mab nib cillin pril".split()
)
"""How words of medicine end and names hardly ever do; counts for words in lower case only."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Folded words."""

    function: frozenset[str]
    """Grammar: the, of, with."""
    ordinary: frozenset[str]
    """Everything that is no name by itself, :attr:`function` included."""
    given_names: frozenset[str]

    def is_ordinary(self, folded: str, in_lower_case: bool) -> bool:
        """Whether a word means something other than a person."""
        return folded in self.ordinary or (in_lower_case and folded.endswith(ENDINGS))


def shipped() -> Vocabulary:
    """Read the lists that come with the package."""
    function, clinical, common, given = (_words(name) for name in ("function", "clinical", "common", "given_names"))
    return Vocabulary(function, function | clinical | common, given)


def _words(name: str) -> frozenset[str]:
    text = files(__package__).joinpath("words", f"{name}.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
