# ruff: noqa: E501 (a table has one row an entry)
"""The adjectives: `English/comparative | German/comparative | Chinese | kinds | uses`.

Chinese gives the attribute and, after a slash, the predicate where it differs. Uses: `a`
attribute, `p` predicate, `t` after "too", `c` comparative, `x` a predicate without degrees.
A kind that starts with `=` is one noun.
"""

from functools import cache

from transformer.text.phrasebook.abstract import Adjective, Noun

_TABLE = """
red | rot | 红色 | clothes =suitcase =bag =umbrella =backpack =wallet =towel =car =bicycle =candle | a
blue | blau | 蓝色 | clothes =suitcase =bag =umbrella =backpack =vase =blanket =car =boat =teapot | a
green | grün | 绿色 | clothes =suitcase =bag =umbrella =backpack =vase =bicycle =tent =teapot | a
black | schwarz | 黑色 | clothes =suitcase =bag =umbrella =backpack =wallet =car =camera =laptop | a
white | weiß | 白色 | clothes =bag =towel =blanket =pillow =vase =car =candle =plate | a
yellow | gelb | 黄色 | clothes =suitcase =umbrella =backpack =bicycle =boat =tent =candle | a
brown | braun | 棕色 | clothes =suitcase =bag =backpack =wallet =teapot | a
grey | grau | 灰色 | clothes =suitcase =bag =umbrella =backpack =laptop =blanket | a
large/larger | groß/größer | 大 | carried container tableware room vehicle linen parcel =map =vase =table sight shop =park =doll =salad =pizza =steak | aptc
small/smaller | klein/kleiner | 小 | carried container tableware room vehicle linen parcel =map =vase =table sight shop =park =doll =salad =pizza =teapot | aptc
new/newer | neu/neuer | 新 | carried clothes vehicle facility =museum =hotel =toothbrush =passport =key =credit_card =guidebook =map | a
old/older | alt/älter | 旧/旧 | carried vehicle facility =vase =book =map =painting =teapot =coat =suit | a
old/older | alt/älter | 古老的 | sight =harbour =market =theatre | a
cheap/cheaper | billig/billiger | 便宜的 | carried clothes room lodging vehicle venue ware booking | ac
expensive/more_expensive | teuer:teur/teurer | 昂贵的/贵 | carried clothes room lodging vehicle ware booking =restaurant =bar | aptc
beautiful/more_beautiful | schön/schöner | 漂亮的 | clothes sight ware =necklace =ring =watch room =park =beach lodging | apc
clean/cleaner | sauber/sauberer | 干净的 | tableware linen room =glass =cup =beach =swimming_pool lodging | ap
dirty/dirtier | schmutzig/schmutziger | 脏 | tableware linen =beach =shower | p
quiet/quieter | ruhig/ruhiger | 安静的 | room lodging =park =beach =café =restaurant =table | apc
comfortable/more_comfortable | bequem/bequemer | 舒服的 | clothes =car =pillow | ap
warm/warmer | warm/wärmer | 暖和的 | =coat =jacket =sweater =scarf =blanket =hat =suit | apc
modern/more_modern | modern/moderner | 现代化的 | =museum =gallery =theatre =cinema lodging =library =hospital shop | apc
famous/more_famous | berühmt/berühmter | 著名的/有名 | sight =restaurant =theatre =market =photographer =painting | apc
good/better | gut/besser | 好 | venue lodging =dentist =doctor =lawyer =interpreter =mechanic =photographer =guidebook =bakery =camera =bookshop | i
heavy/heavier | schwer/schwerer | 重的/重 | =suitcase =bag =backpack =parcel =laptop =tent =camera | aptc
light/lighter | leicht/leichter | 轻便的/轻便 | =suitcase =bag =backpack =jacket =tent =bicycle =laptop =raincoat | ac
important/more_important | wichtig/wichtiger | 重要的 | appointment =letter paper =conference =lecture | aip
interesting/more_interesting | interessant/interessanter | 有意思的 | sight =concert =performance =lecture =guided_tour =football_match =conference =book =magazine booking =trip | apc
boring/more_boring | langweilig/langweiliger | 无聊的 | =concert =performance =lecture =guided_tour =football_match =conference =book =magazine =exhibition | p
long/longer | lang/länger | 长 | =coat =dress =skirt =scarf =belt =raincoat =tie =necklace | aptc
short/shorter | kurz/kürzer | 短 | =coat =dress =skirt =belt =tie =jacket =raincoat | aptc
tight/tighter | eng/enger | 紧 | =shirt =jacket =coat =dress =skirt =suit =sweater =T-shirt =belt =hat | pt
elegant/more_elegant | elegant/eleganter | 优雅的 | =dress =suit =hat =coat =skirt =scarf =tie =restaurant =hotel | apc
loud/louder | laut/lauter | 吵 | room lodging =air_conditioner =refrigerator =bar =hairdryer | pt
dark/darker | dunkel:dunkl/dunkler | 暗 | room =bar =church | pt
tasty/tastier | lecker/leckerer | 好吃的 | dish | ap
salty/saltier | salzig/salziger | 咸 | =vegetable_soup =fish_soup =salad =pizza =steak =sausage =omelette | pt
cold/colder | kalt/kälter | 冷/凉 | =vegetable_soup =fish_soup =pizza =steak =omelette =sausage | pt
spicy/spicier | scharf/schärfer | 辣 | =vegetable_soup =fish_soup =salad =pizza =sausage | apt
left | link:link | 左 | limb | a
right | recht:recht | 右 | limb | a
tired | müde | 累 | kin | pt
hungry | hungrig | 饿 | kin | p
thirsty | durstig | 渴 | kin | p
ill | krank | 生病/病了 | kin =guide =waiter =interpreter =mechanic | x
friendly/friendlier | freundlich/freundlicher | 友好的/友好 | staff | apc
punctual | pünktlich | 准时的/准时 | =guide =interpreter =mechanic =bus =train =ferry =tram | p
helpful/more_helpful | hilfsbereit/hilfsbereiter | 热心的/热心 | staff | pc
closed | geschlossen | 关闭的/不开门 | sight shop office =restaurant =café =bar =swimming_pool | x
fully_booked | ausgebucht | 客满的/客满了 | lodging =restaurant =theatre | x
"""


def _forms(field: str) -> tuple[str, str]:
    first, _, second = field.strip().partition("/")
    return first, second


@cache
def adjectives() -> tuple[Adjective, ...]:
    """All adjectives, in the order of the table."""
    return tuple(_adjective(row) for row in _TABLE.strip().splitlines())


def _adjective(row: str) -> Adjective:
    english, german, chinese, kinds, uses = row.split("|")
    en, en_more = _forms(english.replace("_", " "))
    de_forms, de_more = _forms(german)
    de, _, stem = de_forms.partition(":")
    attribute, predicate = _forms(chinese)
    named = frozenset(kind.replace("_", " ") for kind in kinds.split())
    return Adjective(
        en,
        en_more,
        de,
        stem or de,
        de_more,
        predicate or attribute.removesuffix("的"),
        attribute,
        named,
        uses.strip(),
    )


@cache
def fitting(noun: Noun, use: str) -> tuple[Adjective, ...]:
    """The adjectives that can be said of the noun, in that use."""
    return tuple(
        a
        for a in adjectives()
        if use in a.uses and (noun.kind in a.kinds or f"={noun.en}" in a.kinds)
    )
