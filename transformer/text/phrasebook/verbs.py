# ruff: noqa: E501 (a table has one row an entry)
"""The verbs: English | German | Chinese | subjects | objects | determiners | places | uses.

English gives the pattern, the past and the participle where they are irregular. German gives the
infinitive (`ab|holen` is separable, `_` a space, `sich` marks a reflexive), the third person, the participle
without its prefix, the auxiliary (h, s) and what it governs ("N": the thing is the subject and
the person a dative). Chinese is a pattern: {o} object, {r} recipient, {p} place, {t} duration,
`*` where 了 goes, `~` where 在 does. A kind of place may begin with "to:", "by:" or "from:", which
then holds for all of them; `=` marks one noun. Uses: `p` past, `r` perfect, `f` future, `n`
present, `g` that present is progressive, `m` modals, `q` requests, `i` infinitives, `s` since,
`c` and `D` relative clauses, `w` questions for a place. Other letters mark the verbs of one family
of sentences.
"""

from functools import cache

from transformer.text.phrasebook.abstract import Verb

_TABLE = """
buy {o}/bought/bought | kaufen kauft gekauft h A | 买*{o} | person | ware clothes carried | a a number few this | city shop | prfmicw
buy {o}/bought/bought | kaufen kauft gekauft h A | 买*{o} | person | kilo-only | number | =supermarket =market | pfmi
would like {o} | möchten möchte gemocht h A | 想要{o} | person | dish drink piece-only | a number |  | o
buy {o}/bought/bought | kaufen kauft gekauft h A | 买*{o} | person | ticket | a number few | =railway_station =airport =bus_stop =underground_station | prfmiw
book {o} | buchen bucht gebucht h A | 订*{o} | person | room | a number this |  | prfmic
book {o} | buchen bucht gebucht h A | 订*{o} | person | booking | a this |  | prfmic
reserve {o} | reservieren reserviert reserviert h A | 预订*{o} | person | table | a number | venue-food | prfmi
rent {o} | mieten mietet gemietet h A | 租*{o} | person | vehicle =holiday_flat =holiday_house | a number this | city | prfmicw
lose {o}/lost/lost | verlieren verliert verloren h A | 把{o}弄丢* | person | carried document | own | city =airport =railway_station outdoors | prc
leave {o}/left/left | vergessen vergisst vergessen h A | 把{o}忘在{p}* | person | carried document =hat =coat =jacket =scarf | own | venue lodging office stop | pr
find {o}/found/found | finden findet gefunden h A | 找到*{o} | person | carried document | own |  | prm
look for {o} | suchen sucht gesucht h A | ~找*{o} | person | carried document | own |  | ng
look for {o} | suchen sucht gesucht h A | ~找*{o} | person | office stop lodging shop venue | a |  | ng
visit {o} | besuchen besucht besucht h A | 参观*{o} | person | sight | the | city | prfmic
visit {o} | besuchen besucht besucht h A | 看望*{o} | person | kin | own | city | prfmi
eat {o}/ate/eaten | essen isst gegessen h A | 吃*{o} | person | dish piece-only | a number | venue-food | pm
drink {o}/drank/drunk | trinken trinkt getrunken h A | 喝*{o} | person | drink | a number | venue-food | pm
order {o} | bestellen bestellt bestellt h A | 点*{o} | person | dish drink piece-only | a number | venue-food | prm
pay {o}/paid/paid | bezahlen bezahlt bezahlt h A | 付*{o} | person | money | name | venue office lodging | pmi
call {o} | an|rufen ruft gerufen h A | 给{o}打*电话 | person | professional lodging =embassy =police_station =hospital =restaurant =bank | the |  | prfmi
call {o} | an|rufen ruft gerufen h A | 给{o}打*电话 | person | kin | own |  | prfmi
pick up {o} | ab|holen holt geholt h A | 接*{o} | person | kin | own | stop | pfmi
pick up {o} | ab|holen holt geholt h A | 取*{o} | person | parcel paper ticket | the this | =post_office =railway_station =hotel =embassy | prfmi
take {o} along/took/taken | mit|nehmen nimmt genommen h A | 带上*{o} | person | carried document =raincoat =sweater =jacket | own |  | pmi
need {o} | brauchen braucht gebraucht h A | 需要{o} | person | linen tableware ticket vehicle clothes ware | a number few |  | n
need {o} | brauchen braucht gebraucht h A | 需要{o} | person | professional taxi | a |  | n
give {r} {o}/gave/given | geben gibt gegeben h A | 给{r}{o} | staff | kilo-only | number |  | q
need {o} | brauchen braucht gebraucht h A | 需要{o} | person | kilo-only | number |  | n
have {o}/had/had | haben hat gehabt h A | 有{o} | person | ware clothes vehicle | a number few |  | n
take {o}/took/taken | nehmen nimmt genommen h A | 坐*{o}去{p} | person | tram =bus | the | by:sight office shop outdoors | pfmi
take {o}/took/taken | nehmen nimmt genommen h A | 坐*{o}去{p} | person | taxi | a | by:sight office shop outdoors lodging stop | pfmi
take {o}/took/taken | nehmen nimmt genommen h A | 坐*{o}去{p} | person | train | the next | by:city | pfmi
take {o}/took/taken | nehmen nimmt genommen h A | 坐*{o}去{p} | person | ferry | the next | by:port | pfmi
miss {o} | verpassen verpasst verpasst h A | 错过*{o} | person | train =flight ferry | the |  | pr
change {o} | wechseln wechselt gewechselt h A | 换*{o} | person | money | name | =bank =airport =hotel =post_office | pmiw
send {r} {o}/sent/sent | schicken schickt geschickt h A | 给{r}寄*{o} | person | parcel =postcard =book =painting =magazine | a number few |  | prfmi
buy {r} {o}/bought/bought | kaufen kauft gekauft h A | 给{r}买*{o} | person | clothes ware =necklace =ring =watch | a | city | pfmi
bring {r} {o}/brought/brought | bringen bringt gebracht h A | 给{r}拿{o} | staff | linen tableware | a number |  | q
bring {r} {o}/brought/brought | bringen bringt gebracht h A | 给{r}拿{o} | staff | dish drink piece-only | a number |  | q
bring {r} {o}/brought/brought | bringen bringt gebracht h A | 给{r}拿{o} | staff | menu bill | the |  | q
show {r} {o}/showed/shown | zeigen zeigt gezeigt h A | 给{r}看看{o} | staff | menu ware clothes room | this the |  | q
recommend {o} to {r} | empfehlen empfiehlt empfohlen h A | 给{r}推荐*{o} | staff | venue lodging | a |  | q
meet {o}/met/met | treffen trifft getroffen h A | 跟{o}见*面 | person | kin | own | venue stop sight city | pfmi
meet {o}/met/met | treffen trifft getroffen h A | 跟{o}见*面 | person | staff | the | venue stop sight | pfmi
ask {o} | fragen fragt gefragt h A | 问*{o} | person | staff | the |  | pmiD
thank {o} | danken dankt gedankt h D | 感谢*{o} | person | staff | the |  | prmiD
help {o} | helfen hilft geholfen h D | 帮助*{o} | person | kin | own |  | prfmi
wait for {o} | warten wartet gewartet h auf_A | ~等*{o} | person | train ferry staff | the |  | ngpmsC
wait for {o} | warten wartet gewartet h auf_A | ~等*{o} | person | kin | own | stop venue | ngpms
ask for {o} | bitten bittet gebeten h um_A | 要*{o} | person | room linen | a number |  | pr
look forward to {o} | sich freuen freut gefreut h auf_A | 很期待{o} | person | event =trip =excursion =boat_trip | the |  | ng
complain about {o} | sich beschweren beschwert beschwert h über_A | 投诉*{o} | person | =waiter =guide =conductor =receptionist facility | the |  | pm
open {o} | auf|machen macht gemacht h A | 打开*{o} | staff | opening =suitcase =bag | the this |  | q
close {o} | zu|machen macht gemacht h A | 关上*{o} | staff | opening | the this |  | q
switch on {o} | ein|schalten schaltet geschaltet h A | 打开*{o} | staff | facility-switch | the |  | q
switch off {o} | aus|schalten schaltet geschaltet h A | 关掉*{o} | staff | facility-switch | the |  | q
repair {o} | reparieren repariert repariert h A | 修理*{o} | staff | vehicle =watch =camera =laptop =umbrella | owner |  | q
repair {o} | reparieren repariert repariert h A | 修理*{o} | staff | facility | the |  | q
clean {o} | putzen putzt geputzt h A | 打扫*{o} | staff | =room | owner |  | q
have {o} repaired/had/had | reparieren_|lassen lässt lassen h A | 请人修理{o} | person | =watch =camera =laptop =mobile_phone =umbrella =bicycle =motorbike =car | own |  | L
have {o} cleaned/had/had | reinigen_|lassen lässt lassen h A | 请人清洗{o} | person | clothes | own |  | L
clean {o} | reinigen reinigt gereinigt h A | 清洗*{o} | staff | clothes | this |  | q
check {o} | prüfen prüft geprüft h A | 检查*{o} | staff | bill paper =passport =driving_licence =boarding_pass =identity_card =ticket | the this |  | q
sign {o} | unterschreiben unterschreibt unterschrieben h A | 签*{o} | person | paper | this the |  | rfmiq
fill in {o} | aus|füllen füllt gefüllt h A | 填写*{o} | person | =form | this the |  | rfmiq
exchange {o} | um|tauschen tauscht getauscht h A | 退换*{o} | person | clothes carried =lamp | this |  | m
try on {o}/tried/tried | an|probieren probiert probiert h A | 试穿*{o} | person | clothes | this |  | mr
photograph {o} | fotografieren fotografiert fotografiert h A | 拍摄*{o} | person | sight | the this |  | prmi
cancel {o}/cancelled/cancelled | stornieren storniert storniert h A | 取消*{o} | person | booking | this the |  | prmi
postpone {o} | verschieben verschiebt verschoben h A | 推迟*{o} | person | appointment =excursion =language_course =boat_trip | the |  | prmi
hand in {o} | ab|geben gibt gegeben h A | 交*{o} | person | =key form-only | the | =hotel =embassy | prmiq
get off/got/got | aus|steigen steigt gestiegen s - | 下*车 | person |  |  | city =railway_station =airport =castle =town_hall =harbour =bus_stop | mi
change trains | um|steigen steigt gestiegen s - | 换*车 | person |  |  | city | pfmi
depart | ab|fahren fährt gefahren s - | 出发 | train ferry |  |  | platform | npt
arrive | an|kommen kommt gekommen s - | 到达*{p} | train person |  |  | city =airport =railway_station | pfmt
go/went/gone | gehen geht gegangen s - | 去*{p} | person |  |  | to:sight office venue shop outdoors | pfmi
travel/travelled/travelled | fahren fährt gefahren s - | 去*{p} | person |  |  | to:city | pfmi
go/went/gone | fahren fährt gefahren s - | 去*{p} | train |  |  | to:city | W
fly/flew/flown | fliegen fliegt geflogen s - | 坐飞机去*{p} | person |  |  | to:city overseas country | pfmi
come/came/come | kommen kommt gekommen s - | 来自{p} | person |  |  | from:country | n
stay | wohnen wohnt gewohnt h - | 住在{p} | person |  |  | lodging | ngpf
stay | bleiben bleibt geblieben s - | 待*{t} | person |  |  | city lodging | d
return | zurück|fahren fährt gefahren s - | 回*{p} | person |  |  | to:city lodging | pfmi
get up/got/got | auf|stehen steht gestanden s - | 起*床 | person |  |  |  | pfmhi
have breakfast/had/had | frühstücken frühstückt gefrühstückt h - | 吃*早饭 | person |  |  | lodging =café =restaurant | prfmhiw
take place/took/taken | statt|finden findet gefunden h - | 举行 | event |  |  | city venue =park =town_hall =castle lodging | e
begin/began/begun | an|fangen fängt gefangen h - | 开始 | event |  |  |  | e
end | enden endet geendet h - | 结束 | event |  |  |  | e
open | auf|machen macht gemacht h - | 开门 | opens |  |  |  | h
close | zu|machen macht gemacht h - | 关门 | opens |  |  |  | h
last {t} | dauern dauert gedauert h - | 要{t} | event |  |  |  | l
cost {o}/cost/cost | kosten kostet gekostet h A | {o} | ware | money | name |  | l
hurt/hurt/hurt | weh|tun tut getan h - | 疼 | limb |  |  |  | s
work | funktionieren funktioniert funktioniert h - | 能用 | facility |  |  |  | l
speak {o}/spoke/spoken | sprechen spricht gesprochen h A | 会说{o} | person | language | name |  | n
learn {o} | lernen lernt gelernt h A | ~学*{o} | person | language | name | city country | ngms
steal {o}/stole/stolen | stehlen stiehlt gestohlen h A | 被偷 | thing |  |  | city outdoors =railway_station =airport =market | v
like {o} | gefallen gefällt gefallen h N | 喜欢{o} | person | clothes ware room lodging sight vehicle | this |  | n
be/was/been | sein ist gewesen s - |  |  |  |  |  | x
be/was/been | sein ist gewesen s - | 在{p} |  |  |  |  | y
be late/was/been | sich verspäten verspätet verspätet h - | 晚点 | train |  |  |  | b
smoke | rauchen raucht geraucht h - | 抽烟 | person |  |  | lodging venue =railway_station =airport =library =zoo | O
turn left | links_ab|biegen biegt gebogen s - | 左转 | person |  |  | crossing | k
turn right | rechts_ab|biegen biegt gebogen s - | 右转 | person |  |  | crossing | k
be {t}/was/been | entfernt_|sein ist gewesen s - | 离{p}有{t} |  |  |  |  | u
take photos | fotografieren fotografiert fotografiert h - | 拍照 | person |  |  | sight =theatre =library =market | O
park | parken parkt geparkt h - | 停车 | person |  |  | lodging =railway_station =supermarket =hospital =beach =castle | O
be {o}/was/been | geben gibt gegeben h A | 有{o} | there |  |  |  | z
"""

# Groups of kinds that the tables name in one word.
GROUPS = {
    "professional": (
        "=guide",
        "=doctor",
        "=dentist",
        "=interpreter",
        "=mechanic",
        "=lawyer",
        "=photographer",
    ),
    "drink": ("bottle glass", "cup"),
    "venue-food": ("=restaurant", "=café", "=bar", "=hotel"),
    "facility-switch": ("=heating", "=air conditioner", "=television", "=lamp", "=coffee machine"),
    "form-only": ("=form",),
    "city": ("city", "port"),
    "to:city": ("to:city", "port"),
    "by:city": ("by:city", "port"),
    "piece-only": ("piece",),
    "kilo-only": ("kilo",),
}


def _kinds(field: str) -> tuple[str, ...]:
    return tuple(
        kind for word in field.split() for kind in GROUPS.get(word, (word.replace("_", " "),))
    )


def _regular_past(verb: str) -> str:
    return verb + ("d" if verb.endswith("e") else "ed")


def _verb(row: str) -> Verb:
    english, german, zh, subjects, objects, determiners, places, uses = (
        field.strip() for field in row.split(" | ")
    )
    en, *past = english.split("/")
    base = en.partition(" ")[0]
    reflexive = german.startswith("sich ")
    infinitive, third, participle, auxiliary, governs = german.removeprefix("sich ").split()
    prefix, _, stem = infinitive.replace("_", " ").rpartition("|")
    regular = _regular_past(base)
    return Verb(
        en.replace(" {o}", "").replace(" {r}", "").replace(" {t}", ""),
        en,
        past[0] if past else regular,
        past[1] if past else regular,
        prefix,
        stem,
        third,
        participle,
        auxiliary,
        governs.replace("_", " "),
        reflexive,
        zh,
        _kinds(subjects),
        _kinds(objects),
        tuple(determiners.split()),
        _kinds(places),
        frozenset(uses),
    )


@cache
def verbs() -> tuple[Verb, ...]:
    """All verbs, in the order of the table."""
    return tuple(_verb(row) for row in _TABLE.strip().splitlines())


@cache
def verb(key: str, use: str = "") -> Verb:
    """The first verb of that name (and use)."""
    return next(v for v in verbs() if v.key == key and (not use or use in v.uses))
