"""Numbers that differ, and all that are written in other ways."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.text.cleaning.numerals import numbers_differ


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("1,000 men", "1.000 Mann"),
        ("1000", "1 000"),
        ("1,000,000.50", "1.000.000,5"),
        ("12,34,567", "1234567"),
        ("300 000 Dollar", "$300,000"),
        ("3.5 in 2013", "3,5 im Jahr 2013"),
        ("٢٠١٣ و ٤٥", "2013 and 45"),
        ("१५ और २०", "15, 20"),
        ("on 20.10.2013", "2013-10-20"),
        ("She is 17.", "Sie ist siebzehn."),
        ("two of 15", "2 von 15"),
        ("15万", "150,000"),
        ("5500万美元", "$55 million"),
        ("20世纪30年代", "the 1930s"),
        ("19. Jahrhundert", "the 1800s"),
        ("um 08:30 Uhr", "at 8:30"),
        ("gegen 21.15 Uhr", "at 9.15 p.m."),
        ("am 27.2.", "on the 27th"),
        ("Actinium verdampft bei 3198 °C.", "at 3,198 °C"),
        ("７５ cm", "75 cm"),
        ("007", "7"),
        ("15 and 17", "15 und siebzehn"),
        ("at 10:00 on the 15th", "um 11.00 Uhr am 15."),
    ],
)
def test_numbers_written_in_another_way_are_the_same(source: str, target: str) -> None:
    assert not numbers_differ(source, target)
    assert not numbers_differ(target, source)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("page 23", "Seite 24"),
        ("1,250", "12.000 und 1"),
        ("in 1964", "im Jahr 1966"),
        ("0815", "815"),
        ("15 and 20", "15 und 30"),
        ("3.5 %", "3,6 %"),
        ("٢٠١٣", "2014"),
        ("112", "911"),
    ],
)
def test_other_numbers_differ(source: str, target: str) -> None:
    assert numbers_differ(source, target)
    assert numbers_differ(target, source)


@given(st.text(), st.text())
def test_the_order_of_the_sides_says_nothing(source: str, target: str) -> None:
    assert numbers_differ(source, target) == numbers_differ(target, source)
    assert not numbers_differ(source, source)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.randoms(use_true_random=False))
def test_a_number_is_the_same_however_its_thousands_are_parted(
    numbers: list[int], draw: object
) -> None:
    source = " und ".join(map(str, numbers))
    for mark in (",", ".", " ", "'", "\u202f"):
        target = " and ".join(f"{number:,}".replace(",", mark) for number in reversed(numbers))
        assert not numbers_differ(source, target)


def test_hostile_numbers_take_no_longer_than_their_length_asks() -> None:
    began = time.process_time()
    assert numbers_differ("9" * 50_000, "8" * 50_000)
    assert numbers_differ(
        " ".join(str(i) for i in range(1000, 9000)), " ".join(f"{i}x" for i in range(20000, 28000))
    )
    numbers_differ("1 000" * 20_000, "1.0" * 20_000)
    assert time.process_time() - began < 1
