"""When the words of a breach are no breach: denied, forbidden, reported, or quoted.

A guard must stand in plain characters: a disguised denial excuses nothing. Every guard looks at most
`WINDOW_CHARS` back and `AFTER_CHARS` ahead, and never past the end of a sentence.
"""

from __future__ import annotations

import re
from typing import Final

WINDOW_CHARS: Final = 48
AFTER_CHARS: Final = 20

_STOP: Final = re.compile(r"[。！？!?；;\n\r]")
# What follows a question may answer it: 让您先转账？这是违规的.
_STOP_AFTER: Final = re.compile(r"[。！!；;\n\r]")
# The dialects' own words of denial.
_DIALECT: Final = str.maketrans("唔冇莫甭佢侬恁", "不没别别他您您")
_BLANK: Final = re.compile(r"[^\w，。！？；：,:“”「」『』\"‘’《》、%]+")

_DENIALS: Final = (
    r"(?<!会)不会(?!不)|不得(?!不)|(?<!能)不能(?!不)|(?<!可)不可以|不可(?!不|能)|禁止|严禁|不许|不准|并非|(?<!是)不是|无权|没有权[力利]?|"
    r"绝不|决不|从不|从来不|从来没|绝没|不应|不该|不应该|请勿|切勿|勿|(?<!要)不要(?!以为|怪|逼|后悔|等|让我)|避免|杜绝|不存在|不代表|不等于|"
    r"不意味|不必|不用|无需|不需要?|并不|并没有|未曾|从未|不支持|谨防|警惕|当心|防止|防范|不允许|没有任何|不提供|不承诺|不保证|无法|没法|没办法|"
    r"不收(?!到)|不做|不作|不搞|不主张|不建议|不鼓励|不涉及|不参与|不属于|不构成|不需|没人会|没有人会|谁也不会|不至于|不再|"
    r"别(?=向|把|将|透露|轻信|相信|提供)|不可能|不太可能|难以|不向|不对外|不使|不兴|不受(?!理)|不敢(?=[^，。]{0,4}$)|不再|停止|暂停|取消|撤销|不想让您|不愿(?=[^，。]{0,6}$)|先?别说|别提|不会因为?(?=[^，。]{0,16}$)|哪有|哪里有|哪会|哪能|怎么会|怎么可能|没这回事|没这种事|没有人|没人(?=要|会|能|敢)|谁也不|谁都不|不该|不是要|不是来|并没|没有权|(?<![再还要么是])不$|没有(?=[^，。]{0,3}$)|没(?=[^，。]{0,2}$)|未(?=[^，。]{0,3}$)"
)
_DENIED: Final = re.compile(rf"(?:{_DENIALS})[^，。！？；：,就则便]{{0,11}}$")
_DENIED_INSIDE: Final = re.compile(rf"(?:{_DENIALS})[^，。！？；：,就则便]{{0,8}}$")
# 不会因为还不上就坐牢, 哪有还不上就抓人的道理: the denial reaches over the condition.
_DENIED_FAR: Final = re.compile(
    r"(?:不会(?:仅仅?|只|单纯)?因为?|不因为?|并?不是(?:说)?|哪有|哪里有|哪会|没有|不存在|怎么(?:会|可能))[^，。！？；：,]{0,20}(?:就|便|而)[^，。！？；：,]{0,4}$"
)
_DENIED_BECAUSE: Final = re.compile(r"不会(?:仅仅?|只|单纯)?因为?[^，。！？；：,]{1,20}$")
_BLOCKED: Final = re.compile(r"还款|还钱|还清|还上|不还|按时|按期|联系上|接电话|处理的?话|配合")

# What someone else said, asked, fears, or received.
_REPORTED: Final = re.compile(
    r"(?:(?:您|你(?=刚|之前|上次|提到|反映|担心|收到|接到|遇到|听说)|客户|对方|有人|别人|他们|家属|之前的?同事|骗子|诈骗分子|不法分子|中介|平台)"
    r"(?:们|刚才|刚刚|刚|之前|上次|前面|前几天|昨天|今天|来电|来电里|反复|所|是|也|又|在?电话里|在?投诉里?|这边|曾经?|可能|一直)*"
    r"(?:说的?|提到的?|反映|提及|讲的?|担心|害怕|怕|听说|问|问的?|询问|听到|收到|遇到|接到|举报|描述|转述|咨询|关心|顾虑|质疑|威胁)"
    r"|(?:有人|对方|他们|别人|有员工|有催收员?|催收员|同事|骗子|不法分子|中介|有平台|有的平台|有些平台|别的平台)(?:员|会|如果|要是|曾|曾经|之前|前面|当时|还|也|直接|一直|再)*"
    r"(?:让|叫|逼|要求|要挟|强迫|唆使|诱导|劝|教|告诉|跟|向|对|往|把|给)(?:了|着)?(?:您|你|她|他|客户)?(?!们?我)"
    r"|(?:听说|据说|谣传|网传|有人说|传言|冒充|假冒|自称|遇到|碰到|收到|接到|凡是|如有|若有|如果有人|若有人|任何人|谨防|警惕))"
    r"(?:了|过|到|的是|，|：|:|,|“|\")?(?!我要是|我如果|要是我|如果我|我该|今天|明天)[^，。！？；,]{0,16}$"
)
_QUOTED_BY_OTHERS: Final = re.compile(
    r"(?:(?:您|你(?=刚|之前|上次|提到|反映|担心|收到|接到|遇到|听说)|客户|对方|他们?|她|有人|别人|骗子|家人|平台|中介|短信|信息|网上|媒体|广告|话术|规定|办法|条例|要求|落款|上面|里面|那条|那份|那张|同事)[^，。！？；]{0,12}"
    r"|所谓的?|类似|例如|比如|诸如|像|关于|等|不能说|不得说|禁止说|禁止使用|禁用|违规话术[：:]?|错误示范[：:]?|禁语[：:]?|说成|写成)[：:，,]?$"
)
_FIRST_PERSON: Final = re.compile(
    r"(?:我|我们|咱)(?:就|再|今天|现在|正式|郑重|明确|直接)*(?:告诉|通知|警告|说|提醒|要说)[^，。]{0,4}[：:，,]?$"
)
_CLOSERS: Final = {"“": "”", "「": "」", "『": "』", "‘": "’", '"': '"'}

_REFUTED: Final = re.compile(
    r"^[”」』’\"]?[^，。！？；,]{0,5}(?:是|属于|都是|均为|构成|均属)?(?:违规|违法|不合规|不允许|不被允许|被禁止|禁止|不对的|不属实|不实|谣言|骗局|骗子|"
    r"诈骗|不可取|无效|假的|错误的?|不存在|没有依据|没有根据|误解|误会)"
    r"|^[^。！；]{0,11}？?，?(?:这|那|这些|那些|这种|那种|此类|这类|这样|这么)(?:都|就|可|个|是|话|事|种|说法|话术|做法|行为|要求|表述|情况|样|说|做|的|才|完全|绝对)*"
    r"(?:是|属于)?(?:违规|不合规|不符合|严禁|禁止|不允许|不对|不属实|不实|不是事实|谣言|骗局|不可取|假的|错误?的|没有依据|没有根据|没有的事|不准确|不会的|不可能|误解|不该|不应该|不妥|请[^，]{0,4}报警)"
    r"|^[^。！；]{0,12}，?(?:都|全|全部|均|统统|一律)(?:不是事实|是假的|是骗局|是诈骗|是谣言|不属实|不成立|没有依据|不会有|不会发生|没有的事|严禁|是被?禁止)"
    r"|^[^。！；？]{0,6}，?(?:是|属于|肯定是)(?:典型的)?(?:诈骗|骗局|假的|谣言|伪造|违规|违法)"
    r"|^[^。！；？]{0,6}(?:由您(?:自己)?(?:定|决定|选|作主|做主)|您说了算|看您(?:自己|方便|意愿))"
    r"|^[^，。！；？]{0,3}(?:的)?(?:风险|危害|代价)(?:很|较|太|非常|特别|都)(?:大|高)"
    r"|^[^，。！；？]{0,8}(?:只能|只有|必须|应当|需要|都要?)(?:由|经|凭)?(?:人民)?法院"
    r"|^[^。！；？]{0,14}(?:道歉|致歉|是我们的错|是我们不对|严肃处理|我们会核查|已上报|请您?(?:马上|立即|尽快|先)?报警)"
    r"|^[^，。！；？]{0,6}的(?:道理|说法|规矩|规定|事)(?:[，。]|$)"
    r"|^[^，。！；]{0,4}？(?:不会的?|没有的事|不可能|没这回事|绝对?不会|肯定不会|不用)"
    r"|^[”」』’\"]?(?:的|这种|这类|这样|那样|之类|这一)?(?:的)?(?:说法|话术|做法|行为|传言|谣言|陷阱|骗局|套路|误区|担心|顾虑|疑问)"
    r"|^[^，。！？；,]{0,4}(?:我们|公司|平台)(?:都|均|一概|坚决|绝)?(?:不会|不予|不做|不允许)"
    r"|^[^，。！？；,]{0,2}(?:都|均|一概)?(?:是不会的|不会的|不会发生|不允许|是禁止|是不允许|严禁|不得)"
)


def left_window(text: str, start: int) -> str:
    """The plain text of the sentence that leads to `start`."""
    window = text[max(0, start - WINDOW_CHARS) : start]
    ends = [stop.end() for stop in _STOP.finditer(window) if not _in_quotes(window[: stop.end()])]
    return _BLANK.sub("", window[ends[-1] :] if ends else window).translate(_DIALECT)


def _in_quotes(text: str) -> bool:
    return text.count("“") > text.count("”") or text.count("「") > text.count("」")


def right_window(text: str, end: int) -> str:
    """The plain text of the sentence that follows `end`."""
    window = text[end : end + AFTER_CHARS]
    stop = _STOP_AFTER.search(window)
    return _BLANK.sub("", window[: stop.start()] if stop else window).translate(_DIALECT)


def right_is_final(text: str, end: int) -> bool:
    """No further text can enter the right window."""
    return len(text) >= end + AFTER_CHARS or _STOP_AFTER.search(text, end) is not None


def denied(left: str, first: str = "") -> bool:
    """不会…, 禁止…, 请勿…: the sentence denies or forbids what follows.

    `first` is the first word of what follows: in 不会联系 the denial reaches into the phrase 会联系.
    """
    if (far := _DENIED_FAR.search(left)) and not re.search(
        r"没有[^，]{0,4}(?:还|钱|收到|接|回|处理|配合|到账)", far[0]
    ):
        return True
    if _DENIED_BECAUSE.search(left):
        return True
    match = _DENIED.search(left) or (_DENIED.search(left + first) if first else None)
    return match is not None and match.start() < len(left) and not _BLOCKED.search(match[0])


def denied_inside(gap: str) -> bool:
    """A denial between two parts of a phrase: 您的欠款我们不会告诉家人."""
    match = _DENIED_INSIDE.search(_BLANK.sub("", gap).translate(_DIALECT))
    return match is not None and not _BLOCKED.search(match[0])


def reported(left: str) -> bool:
    """您刚才说要…, 您担心…, 如有人冒充…: someone else's words, or a warning of them."""
    return bool(_REPORTED.search(left))


def quoted(left: str) -> bool:
    """Inside quotation marks that open after someone else's speech is announced."""
    for opener, closer in _CLOSERS.items():
        at = left.rfind(opener)
        if at < 0 or (closer in left[at + 1 :]) or (opener == closer and left.count(opener) % 2 == 0):
            continue
        before = left[:at]
        if not _FIRST_PERSON.search(before) and (_QUOTED_BY_OTHERS.search(before) or denied(before)):
            return True
    return False


def refuted(right: str) -> bool:
    """…是违规的, …的说法不对: what was just said is called wrong."""
    return bool(_REFUTED.search(right))
