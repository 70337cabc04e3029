"""How much of a text is letters, and of which scripts."""

import unicodedata
from collections.abc import Callable

# First words of the names of letters, where they are of one script, and its name in ISO 15924.
_SCRIPTS = {
    "ADLAM": "Adlm",
    "ARABIC": "Arab",
    "ARMENIAN": "Armn",
    "BALINESE": "Bali",
    "BENGALI": "Beng",
    "BOPOMOFO": "Bopo",
    "BUGINESE": "Bugi",
    "CANADIAN": "Cans",
    "CHAKMA": "Cakm",
    "CHAM": "Cham",
    "CHEROKEE": "Cher",
    "CJK": "Hani",
    "COPTIC": "Copt",
    "CYRILLIC": "Cyrl",
    "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi",
    "GEORGIAN": "Geor",
    "GLAGOLITIC": "Glag",
    "GOTHIC": "Goth",
    "GREEK": "Grek",
    "GUJARATI": "Gujr",
    "GURMUKHI": "Guru",
    "HANGUL": "Hang",
    "HEBREW": "Hebr",
    "HIRAGANA": "Hira",
    "IDEOGRAPHIC": "Hani",
    "JAVANESE": "Java",
    "KANNADA": "Knda",
    "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana",
    "KHMER": "Khmr",
    "LAO": "Laoo",
    "LATIN": "Latn",
    "LISU": "Lisu",
    "MALAYALAM": "Mlym",
    "MEETEI": "Mtei",
    "MONGOLIAN": "Mong",
    "MYANMAR": "Mymr",
    "NEW": "Talu",  # New Tai Lue
    "NKO": "Nkoo",
    "OL": "Olck",
    "ORIYA": "Orya",
    "SINHALA": "Sinh",
    "SUNDANESE": "Sund",
    "SYRIAC": "Syrc",
    "TELUGU": "Telu",
    "THAANA": "Thaa",
    "THAI": "Thai",
    "TIBETAN": "Tibt",
    "TIFINAGH": "Tfng",
    "TAMIL": "Taml",
    "VAI": "Vaii",
    "YI": "Yiii",
}
# Of letters that all scripts share, or that say nothing of the script around them.
_COMMON = frozenset(
    "ANGSTROM BLACK-LETTER DOUBLE-STRUCK FEMININE INFORMATION KELVIN MASCULINE MATHEMATICAL"  # noqa: SIM905
    " MICRO MODIFIER OHM SCRIPT VERTICAL".split()
)
KNOWN_SCRIPTS = frozenset(_SCRIPTS.values())

# Signs that say as much as three letters, about: a word has fewer of them.
_HEAVY = frozenset(("Hani", "Hira", "Kana", "Hang"))
_WEIGHT = 3

_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())


class _Table(dict[str, int]):
    """A number for each character, found when it is first met."""

    def __init__(self, value: Callable[[str], int]) -> None:
        self._value = value

    def __missing__(self, character: str) -> int:
        value = self[character] = self._value(character)
        return value


# Marks belong to letters: half of written Hindi is vowel signs. So do joiners between them.
_IS_LETTER = _Table(lambda c: unicodedata.category(c)[0] in "LM" or c in "\u200c\u200d\u3007")


def script_of(letter: str) -> str:
    """The script of a letter as ISO 15924 names it; nothing where scripts share it.

    Of a script that is not known here: some other text.
    """
    words = unicodedata.name(letter, "").split()
    while words and words[0] in {"FULLWIDTH", "HALFWIDTH"}:
        del words[0]
    if not words or words[0] in _COMMON:
        return ""
    if words[:2] == ["TAI", "LE"]:
        return "Tale"
    if words[:2] == ["TAI", "THAM"]:
        return "Lana"
    return _SCRIPTS.get(words[0], words[0])


def n_ascii_letters(text: str) -> int:
    return len(text.encode("ascii", "ignore").translate(None, _NO_LETTERS))


def enough_letters(least: float) -> Callable[[str], bool]:
    """Whether the share of letters among a text's characters but spaces is `least` or more.

    A blank text has enough.
    """

    def check(text: str) -> bool:
        if n_ascii_letters(text) >= least * len(text):
            return True
        characters = "".join(text.split())
        return sum(map(_IS_LETTER.__getitem__, characters)) >= least * len(characters)

    return check


def mostly_of(scripts: frozenset[str]) -> Callable[[str], bool]:
    """Whether at least half of a text's letters are of `scripts`, those that all share left out.

    A sign of Han, kana or hangul counts as three letters.
    """

    def value(character: str) -> int:
        script = script_of(character) if character.isalpha() else ""
        weight = _WEIGHT if script in _HEAVY else 1
        return 0 if not script else weight if script in scripts else -weight

    table = _Table(value)
    if "Latn" not in scripts:
        return lambda text: sum(map(table.__getitem__, text)) >= 0

    def check(text: str) -> bool:
        if text.isascii():
            return True
        return sum(map(table.__getitem__, text)) >= 0

    return check
