"""Adverbials of time, each with the tense that it asks for."""

from functools import cache

from transformer.text.phrasebook.abstract import Time
from transformer.text.phrasebook.quantities import clock, day, measure, weekday

_TABLE = """
past | yesterday | gestern | 昨天
past | the day before yesterday | vorgestern | 前天
past | yesterday evening | gestern Abend | 昨天晚上
past | this morning | heute Morgen | 今天早上
past | last week | letzte Woche | 上个星期
past | last month | letzten Monat | 上个月
future | tomorrow | morgen | 明天
future | the day after tomorrow | übermorgen | 后天
future | this evening | heute Abend | 今天晚上
future | tomorrow morning | morgen früh | 明天早上
future | tomorrow evening | morgen Abend | 明天晚上
future | next week | nächste Woche | 下个星期
future | next month | nächsten Monat | 下个月
habit | every day | jeden Tag | 每天
"""

_ROWS = [[field.strip() for field in row.split("|")] for row in _TABLE.strip().splitlines()]
_WORDS = {row[1]: dict(zip(("en", "de", "zh"), row[1:], strict=True)) for row in _ROWS}
# Of these, the ones that a time of day may follow.
DAYS = ("tomorrow", "the day after tomorrow", "yesterday", "the day before yesterday", "every day")


@cache
def words_of(tense: str) -> tuple[str, ...]:
    """The keys of the adverbs that go with a tense."""
    return tuple(row[1] for row in _ROWS if row[0] == tense)


@cache
def time_text(time: Time, language: str) -> str:
    """The adverbial, with the comma that closes a German apposition."""
    parts = _KINDS[time.kind]
    return parts(time.values, language)


def _word(values: tuple[str | int, ...], language: str) -> str:
    return _WORDS[str(values[0])][language]


def _word_clock(values: tuple[str | int, ...], language: str) -> str:
    joint = "" if language == "zh" else " "
    return _word(values, language) + joint + clock(int(values[1]), language)


def _date(values: tuple[str | int, ...], language: str) -> str:
    text = day(int(values[0]), language)
    return {"en": f"on {text}", "de": f"am {text},", "zh": text}[language]


def _date_clock(values: tuple[str | int, ...], language: str) -> str:
    joint = "" if language == "zh" else " "
    return _date(values, language) + joint + clock(int(values[1]), language)


def _weekday(values: tuple[str | int, ...], language: str) -> str:
    which, number = str(values[0]), int(values[1])
    name = weekday(number, language)
    if language == "zh":
        return {"last": "上", "next": "下", "every": "每个"}[which] + name
    if language == "de":
        return (
            f"{name.lower()}s"
            if which == "every"
            else {"last": "letzten ", "next": "nächsten "}[which] + name
        )
    return f"on {name}s" if which == "every" else f"{which} {name}"


def _distance(values: tuple[str | int, ...], language: str) -> str:
    which, number, unit = str(values[0]), int(values[1]), str(values[2])
    text = measure(number, unit, language, dative=True)
    pattern = {
        "ago": {"en": "{} ago", "de": "vor {}", "zh": "{}前"},
        "in": {"en": "in {}", "de": "in {}", "zh": "{}后"},
        "since": {"en": "for {}", "de": "seit {}", "zh": "{}"},
    }[which][language]
    return pattern.format(text)


def _clock(values: tuple[str | int, ...], language: str) -> str:
    return clock(int(values[0]), language)


_KINDS = {
    "word": _word,
    "word clock": _word_clock,
    "date": _date,
    "date clock": _date_clock,
    "weekday": _weekday,
    "distance": _distance,
    "clock": _clock,
}
