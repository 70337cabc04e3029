# ruff: noqa: E501 (a table has one row an entry)
"""The sentence patterns: `key | English | German | Chinese`, `{0:mode}` a clause in a mode."""

from functools import cache

from transformer.text.phrasebook.abstract import Frame

_TABLE = """
say | {0:main}. | {0:main}. | {0:main}。
ask | {0:question}? | {0:question}? | {0:question}？
request | Could you please {0:inf}? | Könnten Sie {0:request}? | 您能{0:inf}吗？
please | Please {0:inf}. | Bitte {0:question}. | 请{0:inf}。
wh tell | Could you please tell me {0:sub}? | Könnten Sie mir bitte sagen, {0:sub}? | 请问，{0:main}？
wh know you | Do you know {0:sub}? | Wissen Sie, {0:sub}? | 您知道{0:main}吗？
wh know not | I do not know {0:sub}. | Ich weiß nicht, {0:sub}. | 我不知道{0:main}。
wh like know | I would like to know {0:sub}. | Ich möchte wissen, {0:sub}. | 我想知道{0:main}。
wh forgot | I have forgotten {0:sub}. | Ich habe vergessen, {0:sub}. | 我忘了{0:main}。
whether know you | Do you know whether {0:sub}? | Wissen Sie, ob {0:sub}? | 您知道{0:whether}吗？
whether tell | Could you please tell me whether {0:sub}? | Könnten Sie mir bitte sagen, ob {0:sub}? | 请问，{0:question}？
whether know not | I do not know whether {0:sub}. | Ich weiß nicht, ob {0:sub}. | 我不知道{0:whether}。
whether like know | I would like to know whether {0:sub}. | Ich möchte wissen, ob {0:sub}. | 我想知道{0:whether}。
that hope | I hope that {0:sub}. | Ich hoffe, dass {0:sub}. | 我希望{0:sub}。
that think | I think that {0:sub}. | Ich glaube, dass {0:sub}. | 我觉得{0:main}。
that glad | I am glad that {0:sub}. | Ich freue mich, dass {0:sub}. | 我很高兴{0:sub}。
that pity | It is a pity that {0:sub}. | Es ist schade, dass {0:sub}. | 真可惜，{0:sub}。
that says | Our guide says that {0:sub}. | Unser Reiseleiter sagt, dass {0:sub}. | 我们的导游说{0:sub}。
to forgot | I have forgotten to {0:inf}. | Ich habe vergessen, {0:zu}. | 我忘了{0:inf}。
to plan | We are planning to {0:inf}. | Wir haben vor, {0:zu}. | 我们打算{0:inf}。
to time | I have no time to {0:inf}. | Ich habe keine Zeit, {0:zu}. | 我没有时间{0:inf}。
to decide | We have decided to {0:inf}. | Wir haben beschlossen, {0:zu}. | 我们决定{0:inf}。
to possible | Is it possible to {0:inf}? | Ist es möglich, {0:zu}? | 能不能{0:inf}？
to forget not | Please do not forget to {0:inf}. | Bitte vergessen Sie nicht, {0:zu}. | 请别忘了{0:inf}。
to promise | I promise to {0:inf}. | Ich verspreche, {0:zu}. | 我保证{0:inf}。
because | {0:main} because {1:sub}. | {0:main}, weil {1:sub}. | 因为{1:sub}，所以{0:sub}。
calling | I am calling because {0:sub}. | Ich rufe an, weil {0:sub}. | 我打电话是因为{0:sub}。
if | If {1:sub}, {0:main}. | Wenn {1:sub}, {0:then}. | 如果{1:sub}，{0:then}。
before | Before {1:sub}, {0:main}. | Bevor {1:sub}, {0:then}. | {1:inf}之前，{0:sub}。
as soon as | As soon as {1:sub}, {0:main}. | Sobald {1:sub}, {0:then}. | {1:sub}以后，会{0:inf}。
purpose | {0:main} to {1:inf}. | {0:main}, um {1:zu}. | {0:main}{1:inf}。
but | {0:main}, but {1:main}. | {0:main}, aber {1:main}. | {0:main}，可是{1:main}。
"""


# Frames for a question: about a slot, and about yes or no.
WH = ("ask", "wh tell", "wh know you", "wh know not", "wh like know")

WHETHER = ("whether know you", "whether tell", "whether know not", "whether like know")


@cache
def frames() -> dict[str, Frame]:
    """The frames by their keys, in the order of the table."""
    rows = [[field.strip() for field in row.split(" | ")] for row in _TABLE.strip().splitlines()]
    return {row[0]: Frame(*row) for row in rows}
