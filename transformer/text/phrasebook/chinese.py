"""Chinese linearisation: time, particle, negation, modal and place stand before the verb.

An indefinite object loses its 一 and measure word ("bare") where the clause asks or denies.
"""

from transformer.text.phrasebook.abstract import (
    Amount,
    Clause,
    Nominal,
    Phrase,
    Place,
    Predicate,
    Pronoun,
    Sentence,
    Time,
    Wh,
)
from transformer.text.phrasebook.patterns import fill, question_word, tidy
from transformer.text.phrasebook.pronouns import POSSESSIVES
from transformer.text.phrasebook.quantities import measure, money, number_word, ordinal_word
from transformer.text.phrasebook.times import time_text

_MODALS = {
    "can": ("可以", "不能"),
    "must": ("必须", "不用"),
    "would": ("想", "不想"),
    "should": ("应该", "不应该"),
    "wanted": ("想", "没想"),
    "had": ("不得不", "没必要"),
    "could": ("能", "没能"),
    "may": ("可以", "不可以"),
}
_WORDS = {
    "when": "什么时候",
    "where": "在哪儿",
    "how much": "多少钱",
    "how long": "多长时间",
    "platform": "从几号站台",
    "how far": "多远",
}
_DEGREES = {"": "很{}", "very": "非常{}", "too": "太{}了"}


def sentence(abstract: Sentence) -> str:
    """The sentence in Chinese."""
    return tidy(fill(abstract.frame.zh, abstract.clauses, clause))


def clause(c: Clause, mode: str) -> str:
    """`mode`: "main", "question" (with 吗), "whether", "then" (with 就), "inf", "relative"."""
    asks = mode in ("question", "whether") and not _asks_by_word(c)
    bare = asks or c.negated
    subject = "" if mode == "inf" else nominal(c.subject)
    particle = {"whether": "是不是", "then": "就"}.get(mode, "") if mode == "then" or asks else ""
    when_past = c.tense == "past" and isinstance(c.time, Wh)
    time = ("是" if when_past else "") + _slot(c.time, lambda t: time_text(t, "zh"))
    if c.verb.en == "be {o}":
        words = [
            _existential_place(c),
            particle,
            "没有" if c.negated else "有",
            nominal(c.object, bare),
        ]
    elif c.tense == "since":
        words = [subject, _since(c)]
    else:
        start = [time, "，" if mode == "main" else "", subject] if c.time_first else [subject, time]
        words = [
            *start,
            particle,
            *_predication(c, bare, plain=mode == "relative" or when_past or asks),
        ]
    if c.verb.zh == "晚点" and mode != "sub":
        words.append("了")
    if when_past:
        words.append("的")
    elif asks and c.tense == "perfect" and mode == "question":
        words.append("了")
    return "".join(words) + ("吗" if mode == "question" and asks else "")


def _asks_by_word(c: Clause) -> bool:
    which = isinstance(c.subject, Phrase) and c.subject.determiner == "which"
    return which or question_word(c) != ""


def _predication(c: Clause, bare: bool, *, plain: bool) -> list[str]:
    """Negation and modal, place, the verb with its objects; `plain` suppresses 了."""
    if c.predicate is not None:
        return [_predicate(c.predicate, c.negated)]
    if c.modal == "can" and c.negated and c.verb.zh.startswith("找到"):
        return [_verb(c, bare, aspect="").replace("找到", "找不到")]
    place = "" if "{p}" in c.verb.zh or c.gap == "place" else _place_of_action(c)
    if c.modal:
        return [_MODALS[c.modal][c.negated], place, _verb(c, bare, aspect="")]
    happened = c.tense in ("past", "perfect", "passive")
    already = "已经" if c.already and not c.negated else "还" if c.already else ""
    negation = ("没" if happened or c.verb.zh.startswith("有") else "不") if c.negated else ""
    aspect = "了" if happened and not c.negated and not plain else ""
    pattern = _verb(c, bare, aspect=aspect)
    progressive = "在" if c.tense == "present" and "~" in c.verb.zh else ""
    return [already, negation, progressive, place, pattern]


def _verb(c: Clause, bare: bool, *, aspect: str) -> str:
    """The pattern of the verb, its slots filled and the aspect particle in its place."""
    text = c.verb.zh.replace("~", "").replace("*", aspect)
    if c.verb.zh == "被偷":
        text += aspect
    if c.gap == "object":
        text = text.replace("把{o}", "").replace("{o}", "")
    elif "{o}" in text:
        text = text.replace("{o}", nominal(c.object, bare))
    if "{r}" in text and c.recipient is not None:
        text = text.replace("{r}", nominal(c.recipient))
    if "{p}" in text:
        text = text.replace("{p}", "" if c.gap == "place" else _goal(c.place))
    if "{t}" in text:
        text = text.replace("{t}", _slot(c.duration, duration))
    if c.verb.zh.startswith("住在") and c.gap == "place":
        text = "住"
    return text


def _since(c: Clause) -> str:
    """Like "等火车等了二十分钟了": the verb repeated before its duration."""
    assert isinstance(c.time, Time)
    verb, _, _ = c.verb.zh.replace("~", "").replace("{o}", "*").partition("*")
    place = _place_of_action(c)
    first = verb + nominal(c.object) if c.object is not None else ""
    return f"{place}{first}{verb}了{time_text(c.time, 'zh')}了"


def duration(amount: Amount) -> str:
    return measure(amount.value, amount.unit, "zh")


def _slot(value: object, render: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Wh):
        return _WORDS[value.word]
    assert callable(render)
    return str(render(value))


def _predicate(p: Predicate, negated: bool) -> str:
    if p.standard is not None:
        return f"比{phrase(p.standard)}{p.adjective.zh}"
    if "x" in p.adjective.uses:
        return p.adjective.zh
    return "不" + p.adjective.zh if negated else _DEGREES[p.degree].format(p.adjective.zh)


def _existential_place(c: Clause) -> str:
    assert isinstance(c.place, Place)
    where = phrase(c.place.phrase)
    return where + ("附近" if c.place.relation == "near" else "")


def _place_of_action(c: Clause) -> str:
    if c.place is None:
        return ""
    if isinstance(c.place, Wh):
        return _WORDS[c.place.word]
    if isinstance(c.place, Amount):
        return f"从{number_word(c.place.value, 'zh').replace('两', '二')}号站台"
    return "在" + phrase(c.place.phrase)


def _goal(place: Place | Amount | Wh | None) -> str:
    if isinstance(place, Wh):
        return "哪儿"
    assert isinstance(place, Place)
    return phrase(place.phrase)


def nominal(n: Nominal | None, bare: bool = False) -> str:
    """An argument of a verb."""
    if isinstance(n, Pronoun):
        return n.zh
    if isinstance(n, Amount):
        return money(n.value, n.unit, "zh")
    if isinstance(n, Wh):
        return _WORDS[n.word]
    assert isinstance(n, Phrase)
    return phrase(n, bare)


def phrase(p: Phrase, bare: bool = False) -> str:
    """Relative clause, determiner with measure word, attributes, noun."""
    adjective = p.adjective.zh_attribute if p.adjective else ""
    relative = clause(p.relative, "relative") + "的" if p.relative is not None else ""
    noun = p.mass.zh if p.mass is not None else p.noun.zh
    measure_word = p.noun.classifier
    if p.mass is not None:
        measure_word, adjective = adjective + measure_word, ""
    if isinstance(p.tail, Amount):
        noun = number_word(p.tail.value, "zh").replace("两", "双") + "人桌"
    tail = ""
    if isinstance(p.tail, Place):
        tail = (
            f"去{phrase(p.tail.phrase)}的"
            if p.tail.relation == "to"
            else f"{POSSESSIVES[p.tail.phrase.owner][2]}{p.tail.phrase.noun.zh}里的"
        )
    bare = (bare and p.mass is None) or p.noun.kind == "taxi"
    determiner = "" if bare and p.determiner == "a" else _determiner(p, measure_word)
    other = "和" + phrase(p.other, bare) if p.other is not None else ""
    return relative + determiner + tail + adjective + noun + other


def _determiner(p: Phrase, measure_word: str) -> str:
    kind = p.determiner
    if kind == "owner":
        return POSSESSIVES[p.owner][2] + (
            "" if p.noun.kind == "kin" and p.noun.zh != "孩子" else "的"
        )
    if kind == "next" and p.noun.kind not in ("train", "tram", "ferry"):
        return "最近的"
    if kind == "number":
        return number_word(p.number, "zh") + measure_word
    if kind == "ordinal":
        return ordinal_word(p.number, "zh") + measure_word
    counted = {
        "a": "一",
        "few": "几",
        "this": "这",
        "which": "哪",
        "next": "下一",
        "last": "最后一",
    }
    if kind in counted:
        return counted[kind] + measure_word
    return "这些" if kind == "these" else ""
