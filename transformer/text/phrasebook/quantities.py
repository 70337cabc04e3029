"""Numbers, money, dates and times of day as each language writes them: CLDR and num2words."""

from datetime import date, time
from decimal import Decimal
from functools import cache

from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_currency, format_decimal
from num2words import num2words

LOCALES = {"en": "en_GB", "de": "de_DE", "zh": "zh_CN"}
_DIGITS = "零一二三四五六七八九"
_CURRENCIES_ZH = {"EUR": "欧元", "USD": "美元", "GBP": "英镑"}


def chinese_numeral(number: int, *, counting: bool = True) -> str:
    """The number (0 to 9999) in characters; `counting` says 两 for a plain 2, as before 个."""
    if counting and number == 2:
        return "两"
    if number < 10:
        return _DIGITS[number]
    unit, name = next((u, n) for u, n in ((1000, "千"), (100, "百"), (10, "十")) if number >= u)
    first, rest = divmod(number, unit)
    first_word = "" if 10 <= number < 20 else "两" if first == 2 and unit > 100 else _DIGITS[first]
    if not rest:
        return first_word + name
    gap = "零" if rest < unit // 10 else ""
    ten = "一" if unit > 10 and 10 <= rest < 20 else ""
    return first_word + name + gap + ten + chinese_numeral(rest, counting=False)


@cache
def number_word(number: int, language: str) -> str:
    """A cardinal: a word below 100, else digits."""
    if number >= 100:
        return str(format_decimal(number, locale=LOCALES[language]))
    if language == "zh":
        return chinese_numeral(number)
    return str(num2words(number, lang=language))


@cache
def ordinal_word(number: int, language: str) -> str:
    """An ordinal: "second", the stem "zweit", "第二"."""
    if language == "zh":
        return "第" + chinese_numeral(number, counting=False)
    word = str(num2words(number, to="ordinal", lang=language))
    return word.removesuffix("e") if language == "de" else word


@cache
def money(cents: int, currency: str, language: str) -> str:
    """An amount; no-break spaces become plain ones, which tokenizers would make of them anyway."""
    digits = "#,##0" if cents % 100 == 0 else "#,##0.00"
    value, locale = Decimal(cents) / 100, LOCALES[language]
    if language == "zh":
        return str(format_decimal(value, format=digits, locale=locale)) + _CURRENCIES_ZH[currency]
    pattern = f"¤{digits}" if language == "en" else f"{digits} ¤"
    text = format_currency(value, currency, format=pattern, currency_digits=False, locale=locale)
    return str(text).replace("US$", "$").replace("\u00a0", " ")


@cache
def day(ordinal: int, language: str) -> str:
    """The date of a proleptic ordinal with its weekday, "Tuesday 3 March"."""
    moment = date.fromordinal(ordinal)
    weekday = format_date(moment, "EEEE", locale=LOCALES[language])
    month_day = format_skeleton("MMMMd", moment, locale=LOCALES[language])
    return {
        "en": f"{weekday} {month_day}",
        "de": f"{weekday}, dem {month_day}",
        "zh": f"{month_day}{weekday}",
    }[language]


@cache
def weekday(number: int, language: str) -> str:
    """The name of a weekday; 0 is Monday."""
    return format_date(date(2024, 1, 1 + number), "EEEE", locale=LOCALES[language])


@cache
def clock(minutes: int, language: str) -> str:
    """The time of day, "14:35" on the 24-hour clock in every language."""
    moment = time(minutes // 60, minutes % 60)
    text = format_time(moment, "HH:mm", locale=LOCALES[language])
    return {"en": f"at {text}", "de": f"um {text} Uhr", "zh": text}[language]


# In the plural: English, German, German dative, Chinese with its measure word.
UNITS = {
    "minute": ("minutes", "Minuten", "Minuten", "分钟"),
    "hour": ("hours", "Stunden", "Stunden", "个小时"),
    "day": ("days", "Tage", "Tagen", "天"),
    "night": ("nights", "Nächte", "Nächten", "个晚上"),
    "week": ("weeks", "Wochen", "Wochen", "个星期"),
    "month": ("months", "Monate", "Monaten", "个月"),
    "metre": ("metres", "Meter", "Metern", "米"),
    "person": ("people", "Personen", "Personen", "人"),
}


@cache
def measure(number: int, unit: str, language: str, *, dative: bool = False) -> str:
    """A number from two up and its unit, "three days"."""
    en, de, de_dative, zh = UNITS[unit]
    word = number_word(number, language)
    if language == "zh":
        return word + zh
    return f"{word} {en if language == 'en' else de_dative if dative else de}"
