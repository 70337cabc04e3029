"""What the code of a language tells."""

import pytest

from transformer.text.cleaning import has_spaces, language_of, scripts_of


@pytest.mark.parametrize(
    ("code", "language", "scripts", "spaces"),
    [
        ("de", "de", {"Latn"}, True),
        ("pt-BR", "pt", {"Latn"}, True),
        ("ru", "ru", {"Cyrl"}, True),
        ("zh", "zh", {"Hani", "Bopo"}, False),
        ("zh_Hans", "zh", {"Hani"}, False),
        ("cmn", "zh", {"Hani", "Bopo"}, False),
        ("zh-Latn", "zh", {"Latn"}, True),
        ("ja", "ja", {"Hani", "Hira", "Kana"}, False),
        ("ko", "ko", {"Hang", "Hani"}, True),
        ("th", "th", {"Thai"}, False),
        ("bo", "bo", {"Tibt"}, False),
        ("sr", "sr", {"Cyrl", "Latn"}, True),
        ("sr-Latn", "sr", {"Latn"}, True),
        ("pa-PK", "pa", {"Arab"}, True),
        ("deu", "de", {"Latn"}, True),
    ],
)
def test_a_code_tells_scripts_and_spaces(
    code: str, language: str, scripts: set[str], spaces: bool
) -> None:
    assert language_of(code) == language
    assert set(scripts_of(code) or ()) == scripts
    assert has_spaces(code) == spaces


def test_of_an_unknown_language_nothing_is_known_but_that_it_has_spaces() -> None:
    assert scripts_of("qq") is None
    assert has_spaces("qq")
