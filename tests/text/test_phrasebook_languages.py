"""Hand-made abstract sentences, each spelt out in English, German and Chinese."""

from datetime import date

import pytest

from transformer.text.phrasebook import chinese, english, german
from transformer.text.phrasebook.abstract import (
    Adjective,
    Amount,
    Clause,
    Phrase,
    Place,
    Predicate,
    Sentence,
    Time,
    Verb,
    Wh,
)
from transformer.text.phrasebook.adjectives import adjectives
from transformer.text.phrasebook.frames import frames
from transformer.text.phrasebook.german_phrases import noun_form
from transformer.text.phrasebook.german_verbs import zu_infinitive
from transformer.text.phrasebook.nouns import noun
from transformer.text.phrasebook.pronouns import PRONOUNS
from transformer.text.phrasebook.quantities import chinese_numeral
from transformer.text.phrasebook.verbs import verbs

ME, WE, YOU, SHE = (PRONOUNS[key] for key in ("i", "we", "you", "she"))
YESTERDAY = Time("word", ("yesterday",))
TOMORROW = Time("word", ("tomorrow",))
TUESDAY = Time("date", (date(2026, 3, 3).toordinal(),))


def say(key: str, *clauses: Clause) -> Sentence:
    return Sentence(frames()[key], clauses)


def v(key: str, use: str = "", obj: str = "") -> Verb:
    fit = (w for w in verbs() if w.key == key and (not use or use in w.uses))
    return next(w for w in fit if not obj or obj in w.objects)


def a(en: str) -> Adjective:
    return next(x for x in adjectives() if x.en == en)


def the(en: str, adjective: str = "", **more: object) -> Phrase:
    return np("the", en, adjective, **more)


def np(determiner: str, en: str, adjective: str = "", **more: object) -> Phrase:
    word = a(adjective) if adjective else None
    return Phrase(noun(en), determiner, word, **more)  # type: ignore[arg-type]


def at(en: str) -> Place:
    return Place("at", the(en))


def to(en: str) -> Place:
    return Place("to", the(en) if noun(en).gender else np("name", en))


def wanted_museum() -> Phrase:
    relative = Clause(WE, v("visit"), modal="wanted", time=YESTERDAY, gap="object")
    return the("museum", relative=relative)


CASES = {
    "a relative clause behind an embedded question": (
        say("wh tell", Clause(wanted_museum(), v("be", "y"), place=Wh("where"))),
        "Could you please tell me where the museum that we wanted to visit yesterday is?",
        "Könnten Sie mir bitte sagen, wo das Museum ist, das wir gestern besuchen wollten?",
        "请问，我们昨天想参观的博物馆在哪儿？",
    ),
    "a separable verb and a platform": (
        say("say", Clause(
            the("train", tail=to("Hamburg")), v("depart"), time=Time("clock", (875,)),
            place=Amount(7, "platform"))),
        "The train to Hamburg departs from platform seven at 14:35.",
        "Der Zug nach Hamburg fährt um 14:35 Uhr von Gleis sieben ab.",
        "去汉堡的火车14:35从七号站台出发。",
    ),
    "measures and a conjunction": (
        say("say", Clause(ME, v("would like"), object=np(
            "number", "bottle", number=2, mass=noun("water"),
            other=np("a", "cup", "small", mass=noun("coffee"))))),
        "I would like two bottles of water and a small cup of coffee.",
        "Ich möchte zwei Flaschen Wasser und eine kleine Tasse Kaffee.",
        "我想要两瓶水和一小杯咖啡。",
    ),
    "a date in front, and money": (
        say("say", Clause(ME, v("pay"), modal="must", object=Amount(4550, "EUR"), time=TUESDAY,
                          time_first=True)),
        "On Tuesday 3 March, I have to pay €45.50.",
        "Am Dienstag, dem 3. März, muss ich 45,50 € bezahlen.",
        "3月3日星期二，我必须付45.50欧元。",
    ),
    "whole sums have no decimals": (
        say("say", Clause(np("this", "book"), v("cost"), object=Amount(1200, "USD"))),
        "This book costs $12.", "Dieses Buch kostet 12 $.", "这本书12美元。",
    ),
    "a perfect with haben, bound possessive": (
        say("say", Clause(SHE, v("lose"), "perfect", object=np("own", "passport", owner="she"))),
        "She has lost her passport.", "Sie hat ihren Pass verloren.", "她把护照弄丢了。",
    ),
    "a perfect with sein": (
        say("say", Clause(WE, v("fly"), "past", place=to("Beijing"), time=YESTERDAY)),
        "We flew to Beijing yesterday.", "Wir sind gestern nach Peking geflogen.",
        "我们昨天坐飞机去了北京。",
    ),
    "a separable participle": (
        say("say", Clause(np("owner", "aunt", owner="i"), v("call", obj="kin"), "past",
                          object=np("own", "nephew", owner="she"), time=YESTERDAY)),
        "My aunt called her nephew yesterday.",
        "Meine Tante hat gestern ihren Neffen angerufen.",
        "我姑姑昨天给侄子打了电话。",
    ),
    "zu inside a separable verb": (
        say("to forgot", Clause(ME, v("call"), object=the("hotel"))),
        "I have forgotten to call the hotel.",
        "Ich habe vergessen, das Hotel anzurufen.",
        "我忘了给酒店打电话。",
    ),
    "a noun of the n-declension in the dative": (
        say("say", Clause(ME, v("thank"), modal="would", object=the("police officer", "friendly"))),
        "I would like to thank the friendly police officer.",
        "Ich möchte dem freundlichen Polizisten danken.",
        "我想感谢友好的警察。",
    ),
    "a dative plural": (
        say("say", Clause(ME, v("help"), modal="must",
                          object=np("own", "children", owner="i"), time=TOMORROW)),
        "I have to help my children tomorrow.",
        "Ich muss morgen meinen Kindern helfen.",
        "我明天必须帮助孩子。",
    ),
    "kein, and no measure word": (
        say("say", Clause(WE, v("need"), negated=True, object=np("a", "umbrella"))),
        "We do not need an umbrella.", "Wir brauchen keinen Regenschirm.", "我们不需要雨伞。",
    ),
    "没 with 有": (
        say("say", Clause(SHE, v("have"), negated=True, object=np("a", "map"))),
        "She does not have a map.", "Sie hat keine Landkarte.", "她没有地图。",
    ),
    "kein with a language": (
        say("say", Clause(ME, v("speak"), negated=True, object=np("name", "German"))),
        "I do not speak German.", "Ich spreche kein Deutsch.", "我不会说德语。",
    ),
    "nicht behind a definite object": (
        say("say", Clause(ME, v("find"), modal="can", negated=True,
                          object=np("own", "key", owner="i"))),
        "I cannot find my key.", "Ich kann meinen Schlüssel nicht finden.", "我找不到钥匙。",
    ),
    "noch nicht": (
        say("say", Clause(WE, v("sign"), "perfect", negated=True, already=True,
                          object=np("this", "contract"))),
        "We have not signed this contract yet.",
        "Wir haben diesen Vertrag noch nicht unterschrieben.",
        "我们还没签这份合同。",
    ),
    "nicht before a direction": (
        say("say", Clause(ME, v("go"), modal="can", negated=True, place=to("railway station"))),
        "I cannot go to the railway station.",
        "Ich kann nicht zum Bahnhof gehen.",
        "我不能去火车站。",
    ),
    "a prohibition": (
        say("say", Clause(YOU, v("smoke"), modal="may", negated=True, place=at("hotel"))),
        "You must not smoke at the hotel.",
        "Sie dürfen im Hotel nicht rauchen.",
        "您不可以在酒店抽烟。",
    ),
    "a question about the past": (
        say("ask", Clause(YOU, v("book"), "perfect", already=True, object=np("a", "double room"))),
        "Have you already booked a double room?",
        "Haben Sie schon ein Doppelzimmer gebucht?",
        "您已经订双人间了吗？",
    ),
    "a question with when about the past": (
        say("ask", Clause(YOU, v("get up"), "past", time=Wh("when"))),
        "When did you get up?", "Wann sind Sie aufgestanden?", "您是什么时候起床的？",
    ),
    "a question for a place": (
        say("ask", Clause(ME, v("change"), modal="can", object=Amount(30000, "USD"),
                          place=Wh("where"))),
        "Where can I change $300?", "Wo kann ich 300 $ wechseln?", "我可以在哪儿换300美元？",
    ),
    "do-support, and a price": (
        say("ask", Clause(np("this", "skirt", "red"), v("cost"), object=Wh("how much"))),
        "How much does this red skirt cost?",
        "Wie viel kostet dieser rote Rock?",
        "这条红色裙子多少钱？",
    ),
    "whether": (
        say("whether know you", Clause(the("museum"), v("open", "h"), time=Time(
            "word clock", ("tomorrow", 540)))),
        "Do you know whether the museum opens tomorrow at 09:00?",
        "Wissen Sie, ob das Museum morgen um 09:00 Uhr aufmacht?",
        "您知道博物馆明天09:00是不是开门吗？",
    ),
    "an adjective behind ein": (
        say("request", Clause(YOU, v("recommend to"), recipient=WE, object=np(
            "a", "hotel", "quiet"))),
        "Could you please recommend a quiet hotel to us?",
        "Könnten Sie uns bitte ein ruhiges Hotel empfehlen?",
        "您能给我们推荐一家安静的酒店吗？",
    ),
    "an adjective without article": (
        say("say", Clause(WE, v("rent"), "future", object=np("number", "bicycle", "new", number=3),
                          time=TOMORROW)),
        "We will rent three new bicycles tomorrow.",
        "Wir mieten morgen drei neue Fahrräder.",
        "我们明天租三辆新自行车。",
    ),
    "a plural subject": (
        say("say", Clause(np("these", "shirt", "blue"), v("be"), predicate=Predicate(
            a("expensive"), "too"))),
        "These blue shirts are too expensive.",
        "Diese blauen Hemden sind zu teuer.",
        "这些蓝色衬衫太贵了。",
    ),
    "an imperative": (
        say("please", Clause(YOU, v("turn left"), place=Place("at", np(
            "ordinal", "crossing", number=2)))),
        "Please turn left at the second crossing.",
        "Bitte biegen Sie an der zweiten Kreuzung links ab.",
        "请在第二个路口左转。",
    ),
    "gefallen, and a pronoun that agrees with its noun": (
        say("but", Clause(ME, v("like"), object=np("this", "coat")), Clause(
            PRONOUNS["it m"], v("be"), predicate=Predicate(a("expensive"), "too"))),
        "I like this coat, but it is too expensive.",
        "Dieser Mantel gefällt mir, aber er ist zu teuer.",
        "我喜欢这件大衣，可是太贵了。",
    ),
    "weil, with a feminine pronoun": (
        say("because", Clause(ME, v("exchange"), modal="would", object=np("this", "jacket")),
            Clause(PRONOUNS["it f"], v("be"), predicate=Predicate(a("tight"), "too"))),
        "I would like to exchange this jacket because it is too tight.",
        "Ich möchte diese Jacke umtauschen, weil sie zu eng ist.",
        "因为太紧了，所以我想退换这件夹克。",
    ),
    "wenn, and the verb first behind it": (
        say("if", Clause(WE, v("take", obj="train"), "future", object=np("next", "train"),
                         place=to("Berlin")),
            Clause(the("bus"), v("be late"))),
        "If the bus is late, we will take the next train to Berlin.",
        "Wenn sich der Bus verspätet, nehmen wir den nächsten Zug nach Berlin.",
        "如果公共汽车晚点，我们就坐下一班火车去柏林。",
    ),
    "um ... zu": (
        say("purpose", Clause(WE, v("go"), modal="must", place=to("bank")), Clause(
            WE, v("change"), object=Amount(20000, "GBP"))),
        "We have to go to the bank to change £200.",
        "Wir müssen zur Bank gehen, um 200 £ zu wechseln.",
        "我们必须去银行换200英镑。",
    ),
    "a relative pronoun with a preposition": (
        say("say", Clause(the("ferry", relative=Clause(WE, v("wait for", "C"), gap="object")),
                          v("be late"))),
        "The ferry that we are waiting for is late.",
        "Die Fähre, auf die wir warten, verspätet sich.",
        "我们在等的渡轮晚点了。",
    ),
    "a relative pronoun in the dative": (
        say("say", Clause(
            the("guide", relative=Clause(ME, v("thank"), modal="wanted", time=YESTERDAY,
                                         gap="object")),
            v("be"), predicate=Predicate(a("ill")))),
        "The guide that I wanted to thank yesterday is ill.",
        "Der Reiseleiter, dem ich gestern danken wollte, ist krank.",
        "我昨天想感谢的导游病了。",
    ),
    "a relative clause about a place": (
        say("say", Clause(the("hotel", relative=Clause(WE, v("stay", "n"), gap="place")), v("be"),
                          predicate=Predicate(a("quiet"), "very"))),
        "The hotel where we are staying is very quiet.",
        "Das Hotel, in dem wir wohnen, ist sehr ruhig.",
        "我们住的酒店非常安静。",
    ),
    "what lasts till now": (
        say("say", Clause(ME, v("wait for", "C"), "since", object=the("bus"),
                          time=Time("distance", ("since", 25, "minute")))),
        "I have been waiting for the bus for twenty-five minutes.",
        "Ich warte seit fünfundzwanzig Minuten auf den Bus.",
        "我等公共汽车等了二十五分钟了。",
    ),
    "a pain": (
        say("say", Clause(np("owner", "foot", "left", owner="i"), v("hurt"), "since",
                          time=Time("distance", ("since", 2, "day")))),
        "My left foot has been hurting for two days.",
        "Mein linker Fuß tut seit zwei Tagen weh.",
        "我的左脚疼了两天了。",
    ),
    "a passive": (
        say("say", Clause(np("owner", "bag", "brown", owner="i"), v("steal"), "passive",
                          place=at("market"), time=YESTERDAY)),
        "My brown bag was stolen at the market yesterday.",
        "Meine braune Tasche wurde gestern auf dem Markt gestohlen.",
        "我的棕色包昨天在市场被偷了。",
    ),
    "a genitive": (
        say("ask", Clause(PRONOUNS["there"], v("be", "z"), object=np("a", "pharmacy"),
                          place=Place("near", the("castle")))),
        "Is there a pharmacy near the castle?",
        "Gibt es in der Nähe des Schlosses eine Apotheke?",
        "城堡附近有药店吗？",
    ),
    "there is none": (
        say("say", Clause(PRONOUNS["there"], v("be", "z"), negated=True, object=np("a", "bank"),
                          place=Place("near", the("hospital", "modern")))),
        "There is no bank near the modern hospital.",
        "Es gibt in der Nähe des modernen Krankenhauses keine Bank.",
        "现代化的医院附近没有银行。",
    ),
    "a comparison": (
        say("that think", Clause(np("this", "sweater"), v("be"), predicate=Predicate(
            a("warm"), "than", np("this", "jacket", "black")))),
        "I think that this sweater is warmer than this black jacket.",
        "Ich glaube, dass dieser Pullover wärmer als diese schwarze Jacke ist.",
        "我觉得这件毛衣比这件黑色夹克暖和。",
    ),
    "lassen": (
        say("say", Clause(ME, v("have repaired"), modal="would",
                          object=np("own", "watch", owner="i"))),
        "I would like to have my watch repaired.",
        "Ich möchte meine Armbanduhr reparieren lassen.",
        "我想请人修理手表。",
    ),
    "a reflexive verb": (
        say("say", Clause(np("owner", "wife", owner="i"), v("look forward to"),
                          object=the("concert"))),
        "My wife is looking forward to the concert.",
        "Meine Frau freut sich auf das Konzert.",
        "我妻子很期待音乐会。",
    ),
    "two objects": (
        say("say", Clause(ME, v("send"), "past", recipient=np("own", "brother", owner="i"),
                          object=np("a", "parcel", "large"), time=YESTERDAY)),
        "I sent my brother a large parcel yesterday.",
        "Ich habe gestern meinem Bruder ein großes Paket geschickt.",
        "我昨天给哥哥寄了一个大包裹。",
    ),
    "forgotten at a place": (
        say("say", Clause(ME, v("leave"), "past", object=np("own", "umbrella", owner="i"),
                          place=at("restaurant"), time=YESTERDAY, time_first=True)),
        "Yesterday, I left my umbrella in the restaurant.",
        "Gestern habe ich meinen Regenschirm im Restaurant vergessen.",
        "昨天，我把雨伞忘在餐厅了。",
    ),
    "a distance": (
        say("say", Clause(the("hotel"), v("be", "u"), place=Place("from", the("railway station")),
                          duration=Amount(300, "metre"))),
        "The hotel is 300 metres from the railway station.",
        "Das Hotel ist 300 Meter vom Bahnhof entfernt.",
        "酒店离火车站有300米。",
    ),
    "which": (
        say("wh know you", Clause(np("which", "bus"), v("go", "W"),
                                  place=Place("by", the("airport")))),
        "Do you know which bus goes to the airport?",
        "Wissen Sie, welcher Bus zum Flughafen fährt?",
        "您知道哪班公共汽车去机场吗？",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_is_spelt_out_as_a_native_speaker_would(name: str) -> None:
    sentence, en, de, zh = CASES[name]
    assert english.sentence(sentence) == en
    assert german.sentence(sentence) == de
    assert chinese.sentence(sentence) == zh


@pytest.mark.parametrize(
    ("number", "counting", "ordinal"),
    [(2, "两", "二"), (10, "十", "十"), (12, "十二", "十二"), (20, "二十", "二十"),
     (22, "二十二", "二十二"), (105, "一百零五", "一百零五"), (110, "一百一十", "一百一十"),
     (2002, "两千零二", "两千零二")],
)  # fmt: skip
def test_chinese_counts_with_liang_and_orders_with_er(
    number: int, counting: str, ordinal: str
) -> None:
    assert chinese_numeral(number) == counting
    assert chinese_numeral(number, counting=False) == ordinal


def test_weak_nouns_take_their_ending_in_all_cases_but_the_nominative() -> None:
    forms = [noun_form(noun("neighbour"), "m", case) for case in "NADG"]
    assert forms == ["Nachbar", "Nachbarn", "Nachbarn", "Nachbarn"]


def test_zu_stands_between_the_prefix_and_the_verb() -> None:
    assert zu_infinitive(v("turn left")) == "links abzubiegen"
    assert zu_infinitive(v("order")) == "zu bestellen"
