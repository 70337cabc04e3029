"""What is known of a language from its code: its name in two letters, its scripts, its spaces."""

from functools import cache

from babel.core import get_global

# Scripts, as ISO 15924 names them, whose words are not parted by spaces. Here alone is it said.
UNSPACED_SCRIPTS = frozenset(
    ("Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Tale", "Talu")
)

# What likely subtags name but is no script of characters.
_COMPOSED = {
    "Hans": ("Hani",),
    "Hant": ("Hani", "Bopo"),
    "Hanb": ("Hani", "Bopo"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Hrkt": ("Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}


@cache
def language_of(code: str) -> str:
    """The language of a code such as pt-BR, zh_Hans or cmn, without script and country: zh."""
    return _subtags(code)[0]


@cache
def scripts_of(code: str) -> frozenset[str] | None:
    """The scripts of characters that a language is written in; None where none is known.

    A code may name its script, as sr-Latn does, or have a country that settles it; else these are
    all scripts in which the Unicode CLDR's likely subtags know the language for some country.
    """
    language, script, country = _subtags(code)
    likely: dict[str, str] = get_global("likely_subtags")  # type: ignore[assignment]
    if script:
        found = {script}
    elif country and f"{language}_{country}" in likely:
        found = {_script(likely[f"{language}_{country}"])}
    else:
        found = {
            _script(full)
            for key, full in likely.items()
            if key.partition("_")[0] == language and not _script(key)
        }
    found.discard("")
    whole = {each for name in found for each in _COMPOSED.get(name, (name,))}
    return frozenset(whole) or None


@cache
def has_spaces(code: str) -> bool:
    """Whether the words of a language are parted by spaces; True where its script is not known."""
    scripts = scripts_of(code) or frozenset()
    return "Hang" in scripts or not scripts & UNSPACED_SCRIPTS


def _subtags(code: str) -> tuple[str, str, str]:
    """Language, script and country; those that the code does not name are empty."""
    first, *rest = code.strip().replace("_", "-").split("-")
    aliases: dict[str, str] = get_global("language_aliases")  # type: ignore[assignment]
    # An alias may bring a script: sh is sr_Latn.
    language, _, implied = aliases.get(first.lower(), first.lower()).partition("_")
    script = _script("_".join([language, *rest])) or _script(f"{language}_{implied}")
    country = next((part.upper() for part in rest if len(part) == 2 or part.isdigit()), "")
    return language, script, country


def _script(subtags: str) -> str:
    """The script among subtags joined by _, or nothing."""
    for part in subtags.split("_")[1:]:
        if len(part) == 4 and part.isalpha():
            return part.title()
    return ""
