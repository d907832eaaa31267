"""Where an output says which option it takes: the phrases that announce one, and what takes them back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from evals.extract.normalise import FINAL_MARK

FINAL, ANSWER, MENTIONED = 2, 1, 0
IN_BRACKETS = "\x02"  # stands behind a letter that came in brackets behind its option's text

_OPEN = r"[(\[{【「『\"'“‘<《]*\s*"
_CLOSE = r"(?:\s*[)\]}】」』\"'”’>》]+)?"
_ORDINAL = r"第\s*[一二三四五六七八1-8]\s*(?:个选项|个答案|选项|项(?!目)|个)"
_BEFORE = r"(?:选项|(?i:options?|choices?)\s+)?\s*"
_UPPER = r"(?<![A-Za-z0-9°_])[A-Z](?![A-Za-z0-9_])"
_LOWER = r"(?<![A-Za-z0-9°_])[a-j](?![A-Za-z0-9_]| [a-z])"
_UPPER_RUN = r"(?<![A-Za-z0-9°_])[A-Z]{2,10}(?![A-Za-z0-9_])"
_LOWER_RUN = r"(?<![A-Za-z0-9°_])[a-j]{2,8}(?![A-Za-z0-9_]| [a-z])"
_AFTER = r"(?:\s*(?:这?[一两三四五六几]?个?(?:选项|项(?!目))|这?[两三四五六几][个者]))?"
_BETWEEN = (
    r"(?:\s*(?:、选?|,|/|\\|·|;|&|\+|(?:,?\s*(?:和|与|及|以及|还有|跟))选?|,?\s*(?i:and)|"
    r"(?<=[A-Ja-j])(?:[ \t]|\n(?=[A-J]\s*(?:\n|$)))(?=[A-Ja-j])|(?<=项)\s(?=[选A-J])|"
    r"(?<=[A-J])\.(?=[A-J](?![A-Za-z])))\s*|(?<=[)\]】}])\s*(?=[(\[【{]))"
)


def _one(letter: str) -> str:
    return rf"{_OPEN}{_BEFORE}{letter}{_AFTER}{_CLOSE}"


def _listed(letter: str) -> str:
    return rf"{_one(letter)}(?:{_BETWEEN}{_one(letter)})*"


# Nouns that make a letter part of a name: A股, B公司, C类.
NAMED = (
    r"(?![ \t]*(?:股|超|站|类|级|轮|国|公司|企业|银行|基金|产品|证券|方案|项目|"
    r"债|客户|型|区|座|点|工厂|仓|城市|地区|系统|组|班|队|方|"
    r"先生|女士|商|店|部门|账户|表|图|段|线|轴|国))"
)
LETTERS = (
    rf"(?P<letters>{_one(_UPPER_RUN)}(?:{_BETWEEN}{_one(_UPPER)})*|{_listed(_UPPER)}|"
    rf"{_one(_LOWER_RUN)}|{_listed(_LOWER)}|"
    rf"{_OPEN}{_ORDINAL}{_CLOSE}(?:{_BETWEEN}{_OPEN}{_ORDINAL}{_CLOSE})*){NAMED}"
)

_LINK = (
    r"(?:[\"'“”‘’】\])>》」』\s]|就|应当|应该|应|当然|当|可以|毫无疑问|很明显|"
    r"明显|自然|必定|便|确定|确认|断定|定|显然|无疑|"
    r"确实|肯定|必然|只能|只|我?认为|我?觉得|选择的|选择|选出|选|是|"
    r"为|乃|"
    r":|=|→|⇒|-+>|-(?=[A-Z])|-{2,}|[—–~]+|\.{2,}|[\U0001F300-\U0001FAFF✅☑✔★☆☞]|即|只有|包括|包含|组合|"
    r"有|见|取|定|】|余下的|剩下的|如下|一目了然|依次|分别|最合适的|最恰当的|正确的|\s|,(?=\s*(?:选|是)))"
)
_LINKED = rf"{_LINK}{{0,8}}?"
_SURE = (
    r"(?:就|应当|应该|应|才|当然|显然|无疑|确实|肯定|必然|只能|,|\s)*"
    r"(?:是|为|选择|选|有|包括|:|=|→|⇒|-+>|—+|-{2,}|\.{2,})"
)
# (strength, rule, pattern); `letters` is the group that names the options.
_PHRASES: tuple[tuple[int, str, str], ...] = (
    (FINAL, "final_mark", rf"{FINAL_MARK}\s*(?:(?:最终|正确)?(?:答案|选项))?(?:选|是|为|:|\s){{0,3}}{LETTERS}"),
    (
        FINAL,
        "final_answer",
        rf"(?:最终|最后)的?(?:正确)?(?:答案|选项|结论|结果|决定|确定|选定|"
        rf"确认|判断|选择|应选|还是选|选)(?:选项)?{_LINKED}{LETTERS}",
    ),
    (
        FINAL,
        "final_answer",
        rf"(?:最终|终审|定稿|终稿)(?:作答)?\s*[】\]]?\s*[:→]?\s*{LETTERS}(?=\s*(?:[。.,;!\n]|$))",
    ),
    (FINAL, "final_answer", rf"以\s*{LETTERS}\s*为准"),
    (FINAL, "final_answer", rf"(?i:\bfinal)\s*:\s*{LETTERS}(?=\s*(?:[。.,;!\n]|$))"),
    (ANSWER, "chosen", rf"(?:维持|坚持|仍选|仍然选)\s*{LETTERS}(?=\s*(?:[。.!\n]|$))"),
    (ANSWER, "chosen", rf"[”\"]者(?:为|是|,)?\s*{LETTERS}也?(?=\s*(?:[。.!\n]|$))"),
    (ANSWER, "is_answer", rf"{LETTERS}(?:为|是)(?:正解|唯一)"),
    (ANSWER, "is_answer", rf"与\s*{LETTERS}(?:的?(?:内容|说法|表述))?(?:一致|相符|吻合)(?=\s*(?:[。.!\n]|$))"),
    (ANSWER, "only", rf"只有一?[个项]\s*[:,]?\s*(?:就是|即)?\s*{LETTERS}(?=\s*(?:[。.!\n]|$))"),
    (ANSWER, "chosen", rf"(?:如今|现在)?(?:已经?|便)是\s*{LETTERS}(?=\s*(?:[。.!\n]|$))"),
    (FINAL, "final_answer", rf"(?i:final\s+(?:answer|choice))\W{{0,4}}(?i:\s*(?:is|would be|:))*\W{{0,3}}{LETTERS}"),
    (ANSWER, "answer", rf"答案(?:选项|字母|代码|序号)?{_LINKED}{LETTERS}"),
    (
        ANSWER,
        "answer",
        rf"(?:^|\n|[。;,!?])\s*(?:[【\[](?:解答|答|回答|作答|解)[】\]]\s*:?|"
        rf"(?:解答|答|回答|作答|解)\s*:)\s*(?:应?选)?{LETTERS}",
    ),
    (
        ANSWER,
        "chosen",
        rf"(?:更正|改正|修正|纠正|勘误)(?:后)?(?:的?答案)?(?:为|是|:|\s)*{LETTERS}(?=\s*(?:[。.,;!)\n]|$))",
    ),
    (ANSWER, "named", rf"的[^\n。;,:不错非误除未无]{{0,6}}?(?:有|包括|是|为)\s*:?\s*{LETTERS}(?=\s*(?:[。.,;\n]|$))"),
    (ANSWER, "named", rf"(?:^|\n)[^\n。;,:不错非误除未无率]{{1,16}}:\s*{LETTERS}(?=\s*[。.]?\s*(?:\n|$))"),
    (ANSWER, "chosen", rf"(?:可得|得出|得到|推出)(?:答案|结论)?(?:为|是|:|\s)*{LETTERS}(?=\s*(?:[。.,;\n]|$))"),
    (
        ANSWER,
        "named",
        rf"(?:所以|因此|因而|故|综上(?:所述)?)[^\n。;,:不错非误除未无率]{{1,16}}?(?:就|才|应该?)?(?:是|为)\s*{LETTERS}(?=\s*(?:[。.!\n]|$))",
    ),
    (
        ANSWER,
        "chosen",
        rf"(?:(?:^|[。;,!?\n])\s*(?:所以|因此|故)|选择?了?)[^\n。;,:()A-Z不错非误除未]{{1,40}}(?=\(\s*(?:选项)?[A-J]\s*\)\s*(?:[。.,;!\n]|$)){LETTERS}",
    ),
    (FINAL, "chosen", rf"(?:^|[。;,!\n])\s*(?:那?就|那么就)(?:选|是)?\s*{LETTERS}\s*吧?[。!]?\s*$"),
    (ANSWER, "is_answer", rf"{LETTERS}[^\n。;A-J]{{0,24}}?(?:—|-|,|:|\s)\s*(?:就是[它这]个?|就它了?|选它|选这个)"),
    (ANSWER, "chosen", rf"(?:不对|不,|错了)[,。\s]*(?:应该?|是|为)*\s*{LETTERS}(?=\s*(?:[。.,!吧]|$))"),
    (
        ANSWER,
        "chosen",
        rf"(?:^|\n)\s*(?:嗯+|哦|啊|好的?|呃|我想想|让我想想|我觉得|我认为|"
        rf"应该|一眼|那就|就|那)[,。….、!\s]*{LETTERS}(?=\s*(?:[。.,!吧]|"
        rf"$))",
    ),
    (ANSWER, "is_answer", rf"(?P<letters>{_ORDINAL})(?:是|说法)?(?:正确|对的?|符合)(?=[。,;\n]|$)"),
    (
        ANSWER,
        "is_answer",
        rf"{LETTERS}(?:\s*比\s*[A-J])?\s*的?(?:概率|可能性|把握)?(?:更|最)(?:为|"
        rf"加)?(?:符合|合适|合理|恰当|准确|贴切|佳|优|大|高|好|妥|对|有可能)",
    ),
    (ANSWER, "chosen", rf"(?:只剩|剩下|仅剩|就剩)(?:的)?(?:是)?\s*{LETTERS}(?=\s*(?:[。.,;\n]|$))"),
    (ANSWER, "named", rf"(?:^|\n)\s*(?:包括|包含|有)[:\s]*{LETTERS}(?=\s*(?:[。.,;\n]|$))"),
    (ANSWER, "answer", rf"(?:^|\n)\s*正确选项\s*\n\s*{LETTERS}(?=\s*[。.]?\s*(?:\n|$))"),
    (ANSWER, "only", rf"(?:^|\n)\s*(?:仅有?|只有?|唯有)选?\s*{LETTERS}(?=\s*(?:[。.\n]|$))"),
    (ANSWER, "english", rf"(?:^|\s)A\s*:\s*(?=[B-J]\s*[.。]?\s*$){LETTERS}"),
    (ANSWER, "english", rf"(?i:\bboth\s+){LETTERS}(?=\s*(?:[.\n]|$))"),
    (ANSWER, "english", rf"(?i:\b(?:therefore|so|thus|hence),?\s+){LETTERS}(?=\s*(?:[.\n]|$))"),
    (ANSWER, "english", rf"(?i:\bit(?:'s| is)\s+){LETTERS}(?=\s*(?:[.,!\n]|$|(?i:because|since|as)\b))"),
    (
        ANSWER,
        "answer",
        rf"(?:正确|最佳|最优|合适|恰当|对应|符合题意|符合要求|符合条件)的?(?:选项|"
        rf"选择|说法|项|一项)?{_SURE}\s*:?\s*{LETTERS}",
    ),
    (
        ANSWER,
        "answer",
        rf"(?:本题|此题|该题|这题|这道题|结果|结论|(?<![各个下有析述])选项|"
        rf"选择|我的选择)(?:的答案)?{_SURE}\s*:?\s*{LETTERS}",
    ),
    (
        ANSWER,
        "chosen",
        rf"(?:选择|选定|选取|选出|选了|选用|选项为|选项是|选(?!项)(?!\s*\n\s*[A-J]\s*[.、])|挑|填|"
        rf"勾选)(?:的是|的|答案|了)?\s*(?:是|为|:)?\s*{LETTERS}",
    ),
    (ANSWER, "chosen", rf"不是\s*[A-J]\s*,?(?:而|就|应该?)?是\s*{LETTERS}"),
    (ANSWER, "chosen", rf"而(?:应该?|应当)?(?:是|选择|选)\s*{LETTERS}"),
    (
        ANSWER,
        "chosen",
        rf"(?:因此|所以|故|综上(?:所述)?|由此(?:可见|可知)?|总之|可知|可见|"
        rf"应该|应当|应|改)(?:,|\s)*(?:就|应当|应该|应|只能)?(?:是|为|:|"
        rf"成)\s*{LETTERS}",
    ),
    (ANSWER, "chosen", rf"(?:因此|所以|故|综上(?:所述)?|总之)(?:,|:|\s)*{LETTERS}(?=\s*(?:[。.!\n]|$))"),
    (
        ANSWER,
        "is_answer",
        rf"{LETTERS}[ \t]*(?:就|才|即|应该?|应当)?(?:是|为)?(?:本题|此题|该题|"
        rf"题目|唯一|最|问题)?的?(?:正确|最佳|标准|最终|最合适|合适|恰当|"
        rf"最恰当)?的?(?:答案|正确选项|最佳选项|正确的?选择|正确的选项)(?!错|"
        rf"不)",
    ),
    (
        ANSWER,
        "is_answer",
        rf"{LETTERS}[ \t]*(?:的?(?:说法|表述|描述|内容))?(?:是|为)?最(?:为)?(?:符合|"
        rf"合适|恰当|准确|合理|贴切|佳|正确|优|可能)",
    ),
    (
        ANSWER,
        "only",
        rf"(?:只有|仅有|唯有|唯一正确的是)\s*{LETTERS}\s*的?(?:说法|表述|"
        rf"描述|内容|观点)?(?:才|是)*(?:正确|对|符合|成立|可选|准确)",
    ),
    (ANSWER, "answer", rf"答案(?:是|为|:|\s)+[^\n。;,()A-Z]{{1,60}}(?=\(\s*[A-J]\s*\)){LETTERS}"),
    (
        ANSWER,
        "chosen",
        rf"(?:即|也就是|就是|也即)\s*(?=(?:选项)?\s*[(\[]?[A-J"
        rf"]){LETTERS}(?=\s*(?:[。.,;)\n]|$))",
    ),
    # PPI对应A: which option a thing goes with, not which one is chosen
    (MENTIONED, "chosen", rf"对应(?:的?是?)?(?:选项)?(?:是|为)?\s*{LETTERS}(?=\s*(?:[。.,;)\n]|$))"),
    (
        ANSWER,
        "chosen",
        rf"(?:^|[。;,\n!])\s*(?:我|个人|本人)?(?:认为|觉得|判断|想)?(?:正确的)?(?:应该?|"
        rf"应当|最有可能|最可能|就|显然|还|那么?就?|其实|实际上?|实际|分别|"
        rf"依次|当然|肯定|必然|绝对|一定|实则|但|不过|而|细看|仔细看|事实上|自然|很明显|明显|毫无疑问|无疑|必须)*(?:是|"
        rf"为)\s*{LETTERS}(?=\s*(?:[。.,!吧呀哦了喽咯啦嘛呢\n]|$))",
    ),
    (
        ANSWER,
        "english",
        rf"(?i:(?:correct|right|best|the|my)\s+(?:answer|option|choice)s?|"
        rf"\bans(?:wer)?s?|\bchoice)(?:\s*(?i:choice|option|letter)s?)?[\"'\])\s]*"
        rf"(?i:\s*(?:is|are|would be|should be|must be|:|=|->|-|—|be))+\W{{0,3}}(?i:(?:option|"
        rf"choice|letter)s?\s*)?{LETTERS}",
    ),
    (
        ANSWER,
        "english",
        r"(?i:\b(?:option|choice|one|answer|statement)\s+(?:that|which)\s+(?:best\s+|most\s+|correctly\s+)?"
        r"(?:answers?|fits?|matches|applies|satisfies|describes|completes|is\s+(?:correct|right))\b"
        rf"(?:(?!\b(?:not|no|never)\b|n't)[^.\n]){{0,40}}?(?:\s+(?:is|would\s+be|must\s+be)|:)\s+(?:option\s+)?)[(\"']?{LETTERS}",
    ),
    (
        ANSWER,
        "english",
        rf"(?i:\bi\.?e\.?,?\s*(?:option|choice)?)\s*{LETTERS}(?=\s*(?:[.,)\n]|$))",
    ),
    (
        ANSWER,
        "english",
        rf"(?i:\b(?:choose|select|pick|go with|chose)\s+(?:option|choice|answer)?s?)\W{{0,3}}{LETTERS}",
    ),
    (
        ANSWER,
        "english",
        rf"{LETTERS}\s+(?i:(?:is|are)\s+(?:(?:the\s+)?(?:correct|right|best)(?:\s+(?:answer|option|choice)s?)?|(?:the|my)\s+(?:answer|choice)\b))",
    ),
    (
        ANSWER,
        "json",
        rf"[\"'](?i:final_answer|final|answers?|answer_letter|letter|pred|prediction|choices?|options?|correct|selections?|"
        rf"result|selected|selection|response|label|prediction|选项|选择|"
        rf"结果|答案)[\"']\s*:\s*{LETTERS}",
    ),
)
_COMPILED = tuple((strength, rule, re.compile(pattern)) for strength, rule, pattern in _PHRASES)

# 错误选项: may be what is asked for; 排除选项 never is.
_WRONG_LIST = re.compile(r"(?:不正确|不对|不符合|错误)(?:的|题意)*(?:选项|项|说法)[是为有:\s]*$")
_LEFT_LIST = re.compile(r"(?:不选|排除|干扰|其[他它余])的?(?:选项|项|说法)[是为有:\s]*$")
_EACH_CASE = re.compile(r"(?:没?有|无)[^。;,]{1,8}[,;](?:没?有|无)[^。;,]{1,8}选")
_CASE = re.compile(r"\s*(?:而|但)?(?:若|如果|假如|按|依)")
_BY_CASE = re.compile(r"(?:若|如果|假如)[^。\n]{0,30}(?:选|是|为)[^。\n]{0,10}[,;](?:而|但)?(?:若|如果|假如|按|依)")
_DENIES = re.compile("[不错非误除未无]|最初|初步|初稿|起初|第一轮")
_OF_WRONG = re.compile(r"(?i:\b(?:incorrect|wrong|false)\s+(?:answer|option|choice|statement)s?\b)")
_DELIMITERS = "。!?\n;,:"
_CLAUSE = re.compile(r"[。!?\n;,]")
# What makes a mention of an option no choice of it, in the clause before it.
_NOT_MEANT = re.compile(
    r"(?:不(?:能|应该?|应当|会|可以?|要|宜|建议|是|该|得|再|直接)*|别|"
    r"勿|避免|并非|与其|误|错|为什么|为何|是否|要不要|能否|该不该|"
    r"(?i:not|n't|eliminate|rule out|why)\s?)$|"
    r"(?:最初|初步|初稿|第一轮|原)[一-鿿]{0,2}$|"
    r"(?:如果|若|原以为|以为|原本|(?<!首)先$|假如|假设|要是|倘若|即使|"
    r"有人|有些人|很多人|许多|不少|考生|同学|容易|往往|一开始|起初|最初|"
    r"初看|乍看|乍一看|初步|"
    r"(?i:\bif\b))[^。!?\n;,]{0,10}$"
)
_FORMERLY = re.compile("以前|原来|过去|曾经")
_REFUSED = re.compile(
    r"[ \t]*(?:选项|项)?[ \t]*(?:(?:都|均|也|就|则|是|为|的话|显然|明显)*(?:不正确|"
    r"错误|错的?(?:[。,;!\n]|$)|不对|不符合|不恰当|不合适|"
    r"不选(?!\s*[A-J])|不如|不算|不当选|被排除|排除|不成立|有误)|的(?:人|考生|同学|学生|朋友)|(?:以外|之外)|"
    r"会(?:误|错)|(?i:\s*is\s+(?:wrong|incorrect|false|not\s+(?:correct|right|true|the))))"
)
_OTHER_SENTENCE = re.compile(
    r"\s*(?:选项|项)?(?:都|均|则|也|可能|或许)*(?:为|是|属于)(?!正确|对|本题|答案|符合|选)[一-鿿]|"
    r"(?<=项)[一-鿿]{1,8}属于(?!正确|本题|答案)"
)
_ASKED = re.compile(r"[^。!\n;]{0,8}?(?:吗|么|呢|对不对|对吧|是吧)?\s*\?|\s*(?:吗|么|对不对)")
_OR = re.compile(
    r"\s*(?:,|、)?\s*(?:或者?是?|还是|抑或|要么|→|-+>|=+>|(?i:or))\s*(?:是|选)?\s*"
    rf"{_OPEN}(?:选项)?(?<![A-Za-z])(?:[A-Z]{{1,8}}|[a-z])(?![A-Za-z])"
)
_OR_BEFORE = re.compile(
    r"不是\s*[A-J](?:选项|项)?\s*就是\s*选?\s*$|(?:要么|不是)\s*(?:是|选)?\s*$|[A-J](?:选项|项)?\s*,?(?:或者?|还是)\s*(?:是|选)?\s*$"
)
_MAYBE = re.compile(
    r"(?<!不)(?<!最)(?<!最有)(?<!最大)(?:有?可能)(?!性最)|也许|或许|"
    r"大概|大约|似乎|好像|猜测?|估计|八成|倾向|貌似|恐怕|说不定|随便|"
    r"蒙|盲选|瞎选|乱选|"
    r"(?i:\b(?:maybe|perhaps|probably|possibly|might|may be|guess)\b)"
)
_MAYBE_AFTER = re.compile(
    r"[^。!?\n;]{0,12}?(?:也有?可能|可能也|,?也(?:可以?|行|可能)(?:是|选)?\s*[A-J]|或者?[A-J]|(?<!不)(?:可能|也许|或许)(?:还|"
    r"也)?(?:有|包括|是)?\s*[A-J](?![A-Za-z])|\([^)\n]{1,10}\)\s*[/或]\s*[A-J](?![A-Za-z])|"
    r"不确定|\([A-J][^)]{0,8}(?:存疑|待定|可能|也)|猜的|吧\?|待定|仅供参考)"
)
_TURN = re.compile(
    r"等等|等一下|等下|慢着|口误|笔误|手误|勘误|更正|修正|纠正|重新|改为|改判|改选|改成|应改|"
    r"抱歉|对不起|(?:搞|弄|看|想|算|说|写|答)错|其实|但|不过|然而|仔细|"
    r"再看|"
    r"再检查|再想|再次|反思|后来|[A-J]\s*(?:选项|项)?也|(?:^|[。.,;!?\n…—-])\s*(?:哦|"
    r"啊|嗯|噢|啊)?\s*,?\s*不对|而(?:应|是)|"
    r"(?:^|[-—,。.…!\n])\s*(?:哦|啊|噢)?不,|(?i:\b(?:wait|actually|correction|sorry|however|oops|no,|hmm|instead)\b)"
)
_CONCLUDES = re.compile(r"(?:答案|因此|所以|故|综上|总之|由此|可知|可见|(?i:answer|therefore|thus|so))")
_STRONG_TURN = re.compile(
    r"等等|等一下|不对[,。]|更正|重新|改为|改选|再看|再检查|再想|(?i:\b(?:wait|actually|oops|hmm)\b)"
)
_MINOR_TURN = re.compile(r"但|不过|然而|接下来|再来?看|(?i:\bhowever\b)")


@dataclass(frozen=True)
class Claim:
    """A place that takes options: its letters as written, and whether it is hedged."""

    start: int
    end: int
    letters: str
    strength: int
    rule: str
    hedged: bool = False


def announced(text: str) -> Iterator[Claim]:
    """The claims by phrase, in no order; what is refused, asked, supposed or reported of others is none."""
    for strength, rule, pattern in _COMPILED:
        for match in pattern.finditer(text):
            begins = match.start() + (text[match.start()] in _DELIMITERS)
            start, end = match.start("letters"), match.end("letters")
            clause = clause_start(text, begins)
            if _NOT_MEANT.search(text[clause:begins]) and rule != "only":
                continue
            if text[begins] in "即也就" and _FORMERLY.search(text, clause_start(text, clause - 1), begins):
                continue
            if rule == "english" and _OF_WRONG.search(text, clause, start):
                continue
            if rule == "named" and _DENIES.search(text, clause, start):
                continue
            letters = without_refused(text, start, end, match["letters"])
            end = start + len(letters)
            if not letters or _ASKED.match(text, end):
                continue
            bracketed = text[end : end + 1] == IN_BRACKETS and rule == "chosen" and text[start - 1] == "选"
            weight = MENTIONED if bracketed or is_of_the_wrong(text, start) else strength
            yield Claim(start, end, letters, weight, rule, is_hedged(text, text[clause:start], end))


def without_refused(text: str, start: int, end: int, letters: str) -> str:
    """答案是ACD，B和E错误: what stands behind a comma and is refused is not in the list; "" if all of it is."""
    while _REFUSED.match(text, end) or _OTHER_SENTENCE.match(text, end):
        if not re.search(r"[,;]", letters):
            return "" if _REFUSED.match(text, end) else letters
        letters = letters[: max(letters.rfind(","), letters.rfind(";"))]
        end = start + len(letters)
    return letters


def is_hedged(text: str, before: str, end: int) -> bool:
    """Whether the choice that ends at `end`, with `before` in its clause, is one of several or only perhaps meant."""
    return bool(
        (_CASE.match(before) and _BY_CASE.search(text))
        or _EACH_CASE.search(text)
        or _OR.match(text, end)
        or _OR_BEFORE.search(before)
        or _MAYBE.search(before)
        or _MAYBE_AFTER.match(text, end)
    )


def clause_start(text: str, position: int) -> int:
    start = 0
    for match in _CLAUSE.finditer(text, max(0, position - 80), position):
        start = match.end()
    return start if start else max(0, position - 80)


_RIVAL = re.compile(r"(?<!不)(?:可能也?|也许|或许)(?:还)?(?:应该?)?(?:是|选|为)\s*([A-J])(?![A-Za-z])")


def rivalled(behind: str, letters: str) -> bool:
    """Whether another option is called possible behind the choice: 选A。也可能是B。"""
    return any(match[1] not in letters for match in _RIVAL.finditer(behind))


def is_of_the_wrong(text: str, start: int) -> bool:
    """Whether the letters that start there stand under 错误选项."""
    return _WRONG_LIST.search(text, max(0, start - 20), start) is not None


def is_of_the_rest(text: str, start: int) -> bool:
    """Whether the letters that start there stand under 排除选项 or 其他选项."""
    return _LEFT_LIST.search(text, max(0, start - 20), start) is not None


def denied(behind: str, letter: str) -> bool:
    """Whether the answer is said behind not to be the one given."""
    return re.search(rf"答案(?:并|绝)?(?:不是|不为|不可能是)\s*{letter}(?![A-Za-z])", behind) is not None


def turns(between: str) -> bool:
    """Whether a text between two choices takes the first back."""
    return bool(_TURN.search(between))


def concluded(text: str, claim: Claim) -> bool:
    """Whether the choice would stand if the text had been cut off behind what is here."""
    behind = text[claim.end :]
    if _STRONG_TURN.search(behind):
        return False
    opens = re.fullmatch(r"[^A-J。;!?\n]{0,12}\s*[^A-J。;!?\n]{0,3}", text[: claim.start])
    if claim.strength == FINAL or opens:
        return True
    sentence = text[max(0, claim.start - 30) : claim.start]
    return bool(behind.strip() and _CONCLUDES.search(sentence) and not _MINOR_TURN.search(behind))
