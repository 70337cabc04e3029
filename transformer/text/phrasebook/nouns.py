"""The nouns: a table for each kind, one row `English | German | classifier Chinese | place`.

`vase | die Vase/Vasen | 个 花瓶`: an irregular English plural follows a slash, a German noun of
the n-declension ends in `~`, a missing article marks a name or a mass. The fourth field of a
place is its English preposition, its German one with the dative, and its German direction.
"""

from functools import cache

from transformer.text.phrasebook.abstract import Noun

_TABLES = {
    "carried": """
suitcase | der Koffer/Koffer | 个 行李箱
bag | die Tasche/Taschen | 个 包
wallet | der Geldbeutel/Geldbeutel | 个 钱包
camera | die Kamera/Kameras | 台 相机
umbrella | der Regenschirm/Regenschirme | 把 雨伞
mobile phone | das Handy/Handys | 部 手机
watch/watches | die Armbanduhr/Armbanduhren | 块 手表
backpack | der Rucksack/Rucksäcke | 个 背包
laptop | der Laptop/Laptops | 台 笔记本电脑
necklace | die Halskette/Halsketten | 条 项链
ring | der Ring/Ringe | 枚 戒指
""",
    "document": """
passport | der Pass/Pässe | 本 护照
driving licence | der Führerschein/Führerscheine | 本 驾照
credit card | die Kreditkarte/Kreditkarten | 张 信用卡
key | der Schlüssel/Schlüssel | 把 钥匙
boarding pass/boarding passes | die Bordkarte/Bordkarten | 张 登机牌
identity card | der Ausweis/Ausweise | 张 身份证
""",
    "clothes": """
shirt | das Hemd/Hemden | 件 衬衫
coat | der Mantel/Mäntel | 件 大衣
jacket | die Jacke/Jacken | 件 夹克
dress/dresses | das Kleid/Kleider | 条 连衣裙
skirt | der Rock/Röcke | 条 裙子
hat | der Hut/Hüte | 顶 帽子
scarf/scarves | der Schal/Schals | 条 围巾
sweater | der Pullover/Pullover | 件 毛衣
T-shirt | das T-Shirt/T-Shirts | 件 T恤
suit | der Anzug/Anzüge | 套 西装
belt | der Gürtel/Gürtel | 条 皮带
raincoat | der Regenmantel/Regenmäntel | 件 雨衣
tie | die Krawatte/Krawatten | 条 领带
""",
    "ware": """
map | die Landkarte/Landkarten | 张 地图
postcard | die Postkarte/Postkarten | 张 明信片
newspaper | die Zeitung/Zeitungen | 份 报纸
book | das Buch/Bücher | 本 书
guidebook | der Reiseführer/Reiseführer | 本 旅游指南
stamp | die Briefmarke/Briefmarken | 张 邮票
toothbrush/toothbrushes | die Zahnbürste/Zahnbürsten | 把 牙刷
battery | die Batterie/Batterien | 节 电池
vase | die Vase/Vasen | 个 花瓶
painting | das Gemälde/Gemälde | 幅 画
candle | die Kerze/Kerzen | 支 蜡烛
notebook | das Notizbuch/Notizbücher | 个 笔记本
ballpoint pen | der Kugelschreiber/Kugelschreiber | 支 圆珠笔
magazine | die Zeitschrift/Zeitschriften | 本 杂志
doll | die Puppe/Puppen | 个 洋娃娃
teapot | die Teekanne/Teekannen | 把 茶壶
""",
    "linen": """
towel | das Handtuch/Handtücher | 条 毛巾
blanket | die Decke/Decken | 条 毯子
pillow | das Kissen/Kissen | 个 枕头
""",
    "tableware": """
plate | der Teller/Teller | 个 盘子
knife/knives | das Messer/Messer | 把 刀
fork | die Gabel/Gabeln | 把 叉子
spoon | der Löffel/Löffel | 把 勺子
napkin | die Serviette/Servietten | 张 餐巾
""",
    "dish": """
vegetable soup | die Gemüsesuppe/Gemüsesuppen | 碗 蔬菜汤
fish soup | die Fischsuppe/Fischsuppen | 碗 鱼汤
salad | der Salat/Salate | 份 沙拉
pizza | die Pizza/Pizzas | 份 披萨
steak | das Steak/Steaks | 份 牛排
sandwich/sandwiches | das Sandwich/Sandwiches | 个 三明治
sausage | die Wurst/Würste | 根 香肠
pancake | der Pfannkuchen/Pfannkuchen | 份 煎饼
fruit salad | der Obstsalat/Obstsalate | 份 水果沙拉
omelette | das Omelett/Omeletts | 份 煎蛋卷
croissant | das Croissant/Croissants | 个 羊角面包
""",
    "bottle glass": """
water | das Wasser | 水
red wine | der Rotwein | 红葡萄酒
white wine | der Weißwein | 白葡萄酒
beer | das Bier | 啤酒
apple juice | der Apfelsaft | 苹果汁
orange juice | der Orangensaft | 橙汁
lemonade | die Limonade | 柠檬水
milk | die Milch | 牛奶
""",
    "cup": """
coffee | der Kaffee | 咖啡
tea | der Tee | 茶
cocoa | der Kakao | 可可
""",
    "piece": """
cake | der Kuchen | 蛋糕
cheese | der Käse | 奶酪
chocolate | die Schokolade | 巧克力
""",
    "kilo": """
apples | die Äpfel | 苹果
tomatoes | die Tomaten | 西红柿
potatoes | die Kartoffeln | 土豆
grapes | die Trauben | 葡萄
oranges | die Orangen | 橙子
cherries | die Kirschen | 樱桃
strawberries | die Erdbeeren | 草莓
""",
    "container": """
bottle | die Flasche/Flaschen | 瓶
glass/glasses | das Glas/Gläser | 杯
cup | die Tasse/Tassen | 杯
piece | das Stück/Stücke | 块
kilo | das Kilo/Kilo | 公斤
""",
    "sight": """
museum | das Museum/Museen | 家 博物馆 | in in in
castle | das Schloss/Schlösser | 座 城堡 | at an zu
cathedral | die Kathedrale/Kathedralen | 座 主教座堂 | at an zu
church/churches | die Kirche/Kirchen | 座 教堂 | at an zu
palace | der Palast/Paläste | 座 宫殿 | at an zu
gallery | die Galerie/Galerien | 家 画廊 | in in in
temple | der Tempel/Tempel | 座 寺庙 | at an zu
monastery | das Kloster/Klöster | 座 修道院 | at an zu
lighthouse | der Leuchtturm/Leuchttürme | 座 灯塔 | at an zu
zoo | der Zoo/Zoos | 家 动物园 | in in in
town hall | das Rathaus/Rathäuser | 座 市政厅 | at an zu
exhibition | die Ausstellung/Ausstellungen | 个 展览 | at in in
""",
    "shop": """
supermarket | der Supermarkt/Supermärkte | 家 超市 | at in in
department store | das Kaufhaus/Kaufhäuser | 家 百货商店 | in in in
market | der Markt/Märkte | 个 市场 | at auf auf
""",
    "office": """
bank | die Bank/Banken | 家 银行 | at in zu
post office | das Postamt/Postämter | 家 邮局 | at in zu
pharmacy | die Apotheke/Apotheken | 家 药店 | at in zu
hospital | das Krankenhaus/Krankenhäuser | 家 医院 | in in in
embassy | die Botschaft/Botschaften | 个 大使馆 | at in zu
police station | die Polizeiwache/Polizeiwachen | 个 派出所 | at auf zu
bakery | die Bäckerei/Bäckereien | 家 面包店 | at in zu
bookshop | die Buchhandlung/Buchhandlungen | 家 书店 | in in in
library | die Bibliothek/Bibliotheken | 家 图书馆 | in in in
""",
    "venue": """
restaurant | das Restaurant/Restaurants | 家 餐厅 | in in in
café | das Café/Cafés | 家 咖啡馆 | in in in
bar | die Bar/Bars | 家 酒吧 | in in in
theatre | das Theater/Theater | 家 剧院 | at in in
cinema | das Kino/Kinos | 家 电影院 | at in in
""",
    "lodging": """
hotel | das Hotel/Hotels | 家 酒店 | at in in
guest house | die Pension/Pensionen | 家 民宿 | in in in
youth hostel | die Jugendherberge/Jugendherbergen | 家 青年旅舍 | at in in
""",
    "outdoors": """
park | der Park/Parks | 个 公园 | in in in
beach/beaches | der Strand/Strände | 片 海滩 | on an an
swimming pool | das Schwimmbad/Schwimmbäder | 个 游泳池 | at in in
harbour | der Hafen/Häfen | 个 港口 | at an zu
playground | der Spielplatz/Spielplätze | 个 游乐场 | at auf auf
stadium | das Stadion/Stadien | 座 体育场 | at in in
""",
    "stop": """
railway station | der Bahnhof/Bahnhöfe | 个 火车站 | at an zu
airport | der Flughafen/Flughäfen | 个 机场 | at an zu
bus stop | die Bushaltestelle/Bushaltestellen | 个 公共汽车站 | at an zu
underground station | die U-Bahn-Station/U-Bahn-Stationen | 个 地铁站 | at an zu
car park | der Parkplatz/Parkplätze | 个 停车场 | in auf auf
petrol station | die Tankstelle/Tankstellen | 个 加油站 | at an zu
""",
    "kin": """
wife/wives | die Frau/Frauen | 位 妻子
husband | der Mann/Männer | 位 丈夫
sister | die Schwester/Schwestern | 位 姐姐
brother | der Bruder/Brüder | 位 哥哥
mother | die Mutter/Mütter | 位 母亲
father | der Vater/Väter | 位 父亲
daughter | die Tochter/Töchter | 位 女儿
son | der Sohn/Söhne | 位 儿子
aunt | die Tante/Tanten | 位 姑姑
uncle | der Onkel/Onkel | 位 叔叔
grandmother | die Großmutter/Großmütter | 位 奶奶
grandfather | der Großvater/Großväter | 位 爷爷
colleague | der Kollege~/Kollegen | 位 同事
neighbour | der Nachbar~/Nachbarn | 位 邻居
nephew | der Neffe~/Neffen | 位 侄子
friend | der Freund/Freunde | 位 朋友
parents | p Eltern | 位 父母
children | p Kinder | 位 孩子
""",
    "staff": """
waiter | der Kellner/Kellner | 位 服务员
guide | der Reiseleiter/Reiseleiter | 位 导游
conductor | der Schaffner/Schaffner | 位 列车员
receptionist | der Rezeptionist~/Rezeptionisten | 位 前台服务员
police officer | der Polizist~/Polizisten | 位 警察
doctor | der Arzt/Ärzte | 位 医生
dentist | der Zahnarzt/Zahnärzte | 位 牙医
interpreter | der Dolmetscher/Dolmetscher | 位 翻译
mechanic | der Mechaniker/Mechaniker | 位 修理工
lawyer | der Anwalt/Anwälte | 位 律师
photographer | der Fotograf~/Fotografen | 位 摄影师
""",
    "train": """
train | der Zug/Züge | 班 火车
express train | der Schnellzug/Schnellzüge | 班 特快列车
bus/buses | der Bus/Busse | 班 公共汽车
""",
    "ferry": """
ferry | die Fähre/Fähren | 班 渡轮
""",
    "tram": """
tram | die Straßenbahn/Straßenbahnen | 班 有轨电车
underground train | die U-Bahn/U-Bahnen | 班 地铁
""",
    "taxi": """
taxi | das Taxi/Taxis | 辆 出租车
""",
    "vehicle": """
car | das Auto/Autos | 辆 汽车
bicycle | das Fahrrad/Fahrräder | 辆 自行车
motorbike | das Motorrad/Motorräder | 辆 摩托车
boat | das Boot/Boote | 艘 船
tent | das Zelt/Zelte | 顶 帐篷
camper van | das Wohnmobil/Wohnmobile | 辆 房车
""",
    "room": """
room | das Zimmer/Zimmer | 个 房间
single room | das Einzelzimmer/Einzelzimmer | 个 单人间
double room | das Doppelzimmer/Doppelzimmer | 个 双人间
holiday flat | die Ferienwohnung/Ferienwohnungen | 套 度假公寓
holiday house | das Ferienhaus/Ferienhäuser | 栋 度假屋
""",
    "booking": """
flight | der Flug/Flüge | 个 航班
excursion | der Ausflug/Ausflüge | 个 短途游
boat trip | die Bootsfahrt/Bootsfahrten | 个 游船项目
language course | der Sprachkurs/Sprachkurse | 个 语言课程
""",
    "facility": """
shower | die Dusche/Duschen | 个 淋浴
heating | die Heizung/Heizungen | 个 暖气
air conditioner | die Klimaanlage/Klimaanlagen | 台 空调
television | der Fernseher/Fernseher | 台 电视机
telephone | das Telefon/Telefone | 部 电话
refrigerator | der Kühlschrank/Kühlschränke | 台 冰箱
lamp | die Lampe/Lampen | 盏 台灯
coffee machine | die Kaffeemaschine/Kaffeemaschinen | 台 咖啡机
hairdryer | der Föhn/Föhne | 个 吹风机
""",
    "opening": """
window | das Fenster/Fenster | 扇 窗户
door | die Tür/Türen | 扇 门
""",
    "limb": """
foot/feet | der Fuß/Füße | 只 脚
hand | die Hand/Hände | 只 手
knee | das Knie/Knie | 个 膝盖
shoulder | die Schulter/Schultern | 个 肩膀
ear | das Ohr/Ohren | 只 耳朵
arm | der Arm/Arme | 条 胳膊
leg | das Bein/Beine | 条 腿
ankle | der Knöchel/Knöchel | 个 脚踝
""",
    "body": """
head | der Kopf/Köpfe | 个 头
back | der Rücken/Rücken | 个 背
stomach | der Bauch/Bäuche | 个 肚子
neck | der Nacken/Nacken | 个 脖子
""",
    "event": """
concert | das Konzert/Konzerte | 场 音乐会
performance | die Vorstellung/Vorstellungen | 场 演出
football match/football matches | das Fußballspiel/Fußballspiele | 场 足球比赛
lecture | der Vortrag/Vorträge | 场 讲座
guided tour | die Führung/Führungen | 场 导览
flea market | der Flohmarkt/Flohmärkte | 个 跳蚤市场
conference | die Konferenz/Konferenzen | 场 会议
wedding | die Hochzeit/Hochzeiten | 场 婚礼
""",
    "paper": """
form | das Formular/Formulare | 张 表格
contract | der Vertrag/Verträge | 份 合同
""",
    "bill": """
bill | die Rechnung/Rechnungen | 张 账单
""",
    "menu": """
menu | die Speisekarte/Speisekarten | 份 菜单
wine list | die Weinkarte/Weinkarten | 份 酒单
""",
    "ticket": """
ticket | die Fahrkarte/Fahrkarten | 张 车票
admission ticket | die Eintrittskarte/Eintrittskarten | 张 门票
""",
    "table": """
table | der Tisch/Tische | 张 桌子
""",
    "parcel": """
parcel | das Paket/Pakete | 个 包裹
letter | der Brief/Briefe | 封 信
""",
    "appointment": """
appointment | der Termin/Termine | 个 预约
trip | die Reise/Reisen | 次 旅行
""",
    "crossing": """
crossing | die Kreuzung/Kreuzungen | 个 路口 | at an zu
traffic light | die Ampel/Ampeln | 个 红绿灯 | at an zu
""",
    "city": """
Berlin | Berlin | 柏林
Munich | München | 慕尼黑
Cologne | Köln | 科隆
Frankfurt | Frankfurt | 法兰克福
Dresden | Dresden | 德累斯顿
Leipzig | Leipzig | 莱比锡
Hanover | Hannover | 汉诺威
Nuremberg | Nürnberg | 纽伦堡
Vienna | Wien | 维也纳
Zurich | Zürich | 苏黎世
Geneva | Genf | 日内瓦
Basel | Basel | 巴塞尔
Paris | Paris | 巴黎
London | London | 伦敦
Rome | Rom | 罗马
Prague | Prag | 布拉格
Warsaw | Warschau | 华沙
Brussels | Brüssel | 布鲁塞尔
Milan | Mailand | 米兰
Venice | Venedig | 威尼斯
""",
    "port": """
Hamburg | Hamburg | 汉堡
Copenhagen | Kopenhagen | 哥本哈根
Stockholm | Stockholm | 斯德哥尔摩
Helsinki | Helsinki | 赫尔辛基
Oslo | Oslo | 奥斯陆
""",
    "overseas": """
Beijing | Peking | 北京
Shanghai | Shanghai | 上海
Tokyo | Tokio | 东京
New York | New York | 纽约
Hong Kong | Hongkong | 香港
""",
    "country": """
Germany | Deutschland | 德国
Austria | Österreich | 奥地利
France | Frankreich | 法国
Italy | Italien | 意大利
Spain | Spanien | 西班牙
China | China | 中国
Japan | Japan | 日本
Canada | Kanada | 加拿大
Sweden | Schweden | 瑞典
Greece | Griechenland | 希腊
""",
    "language": """
German | Deutsch | 德语
English | Englisch | 英语
Chinese | Chinesisch | 中文
French | Französisch | 法语
Italian | Italienisch | 意大利语
Spanish | Spanisch | 西班牙语
Japanese | Japanisch | 日语
""",
}

_GENDERS = {"der": "m", "die": "f", "das": "n", "p": "p"}


def _plural(noun: str) -> str:
    """Regular English plural."""
    if noun.endswith("y") and noun[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + "s"


def _noun(kind: str, row: str) -> Noun:
    english, german, chinese, *place = (field.strip() for field in row.split("|"))
    en, _, en_plural = english.partition("/")
    article, _, words = (
        german.rpartition(" ") if german.split(" ")[0] in _GENDERS else ("", "", german)
    )
    de, _, de_plural = words.partition("/")
    classifier, _, zh = chinese.rpartition(" ")
    if kind == "container":
        classifier, zh = zh, ""
    plural_only = article == "p"
    return Noun(
        kind,
        en,
        en if plural_only else en_plural or _plural(en),
        de.rstrip("~"),
        de if plural_only else de_plural,
        _GENDERS.get(article, ""),
        de.endswith("~"),
        zh,
        classifier,
        *(place[0].split() if place else ()),
    )


@cache
def nouns(kind: str) -> tuple[Noun, ...]:
    """All nouns of a kind, in the order of the table."""
    return tuple(_noun(kind, row) for row in _TABLES[kind].strip().splitlines())


@cache
def noun(en: str) -> Noun:
    """The noun with this English lemma."""
    return next(n for kind in _TABLES for n in nouns(kind) if n.en == en)


def all_nouns() -> tuple[Noun, ...]:
    return tuple(n for kind in _TABLES for n in nouns(kind))
