"""The text of an option or its value, where an output names no letter."""

from __future__ import annotations

import re

from evals.extract.asked import another_kind, is_negative, is_subject, lists_the_kind, of_the_kind, shares_words
from evals.extract.cues import NAMED, turns
from evals.extract.found import HEDGE, SEVERAL, Found
from evals.extract.normalise import fold, squeeze
from evals.extract.numbers import quantities
from evals.extract.options import Options
from evals.extract.verdicts import OPEN_VERDICT, OTHER_KIND, PREFIX, THE_OTHERS

_ONE_NUMERAL = re.compile("(?<![一-鿿])[一二两三四五六七八九十](?=年|个月|天|日|倍|周|次|期)")
_SUFFIX = re.compile(r"\s*(?:是|为)(?:正确|对)的?(?:答案|选项)?[。.!]*$")
_REFUSING = re.compile(
    r"但[这它该][一-鿿]{0,3}不是(?:正确)?答案|抱歉|无法|不能(?:回答|提供|给出)|没有(?:正确|合适|符合)的?(?:答案|选项)|(?i:sorry|cannot|unable)"
)
_WRONG_BELOW = re.compile(r"(?:错误|不正确|有误|不属于|不包括|不符合|不选)[^。;\n]{0,10}:\s*\n")
# The reader is sent elsewhere: what is mentioned before is no answer.
REFERS = re.compile(r"(?:请|可|具体)(?:自行|以)?(?:查阅|查询|参阅|咨询|拨打)[^。\n]*[。!]?\s*$")
_FILLER = re.compile(
    r"(?:因此|所以|故|综上所述|综上|由此可知|正确答案|参考答案|答案|"
    r"正确|选项|应该|应选|应当|应|选择|选|包括|以及|还有|还|和|与|及|"
    r"或者|是|为|有|的|都|均|"
    r"本题|此题|该题|分别|我|认为|下列|属于|符合题意|以上|这|几|两|三|"
    r"四|项|个|说法|主要|即|等|以下|题目|问题|根据|可知|它|其中|也|而|"
    r"且|以|上|answer|the|is|and)+"
)
_NOT_BEFORE = re.compile(
    r"不$|(?:不得|不能|不可以?|不应|不会|禁止|严禁)(?!超过|低于|少于|"
    r"高于|晚于|早于|多于|大于|小于)[^。;,\n]{0,4}$|(?:不是|不属于|不包括|"
    r"切忌|切勿|避免|杜绝|并非|排除|不选|而非|不应|除了?|不为|不会|不能|没有|非|不对的?是|"
    r"错误的?是|而不是)[^。;,\n]{0,6}$"
)
_CHAINED_IS_A = re.compile(r"(?:\n|和|与|及|以及)*(?:都|均|皆)?(属于|是|为)([^\n]{2,24})")
# What the question is about says nothing of the answer.
_TEASER = re.compile(
    r"(?:本题|这道题|该题|此题|这题|本小题|题目)(?:目|主要|重点|旨在)*(?:考查|考察|考核|考的?是|问的?是|要求|涉及|要?考虑|需要?(?:考虑|了解|掌握|理解|明确|区分)|围绕|的考点)[^。\n]*"
)
_TOPIC = re.compile(r"(?:关于|下列)?(.{3,14}?)(?:的|是|应|通常|一般|采用|按照?)")
_LIST_OF_NOT = re.compile(r"([不非无未](?![仅但只外良动])[一-鿿]{1,10})(?:有|是|为|包括)(?=$|\n)")
_LETTER = re.compile(rf"(?<![A-Za-z])(?<!曲线)(?<!点)(?<!沿着)([A-J])(?![A-Za-z]){NAMED}")
_FILLER_BEFORE = re.compile(r"^(?:主要|通常|一般|具体|以下|下列|它们?|其|答案|正确|选项|应该?|因此|所以|故|综上)+")
_DEFINED = re.compile(r"[a-j]?(?:是|指|是指|负责|反映|衡量|用于|表示|等于)(?!正确|对的)(.{3,})")
_CONCLUDED = re.compile(
    r"(?:^|[。;,\n])\s*(?:因此|所以|因而|故|综上(?:所述)?|由此可[见知]|总之)[,:\s]*([^。;,!?\n]+)[。!\s]*$"
)
_ONLY = re.compile(r"(?:只有|仅有|唯有|唯独)([^。;,\n]+)")
_EXCLUDED = re.compile(
    r"(?<![A-Za-z])([A-J])(?:选项|项)?(?:的?(?:说法|表述))?(?:都|均|就|也|则|是|显然)*"
    r"(?:不当选|不对|错误|不正确|不符合|不选|排除|有误|错(?=[。;,\n]|$))"
)
_NOT_AFTER = re.compile(
    r"^(?:\n|和|与|及|以及)*不(?:能|可|会|得)(?!不)|^(?:\n|和|与|及|以及)*[^\n]{0,8}?(?:不正确|错误|不对|不符合|不属于|有误|排除|不是|不选|不恰当|不在(?:其中|此列|内))"
)


def whole_text(text: str, known: Options, question: str) -> Found | None:
    """The output is the text of one option, with or without an announcement before it or its letter behind."""
    head = text.strip()
    named = re.fullmatch(r"([^\n]+?)\s*\(\s*([A-J])\s*\)\s*[。.]?", head)
    if named:
        own, said = known.text_of(named[2]), squeeze(named[1])
        shortened = len(said) > 1 and said in own and sum(said in text for text in known.squeezed) == 1
        if own and (said == own or shortened):
            return Found(named[2], "option_text")
    first = head.partition("\n")[0]
    opening = head.partition("。")[0]
    if turns(head) or sum(squeeze(part) in known.squeezed for part in re.split(r"[。\n]", head) if part) > 1:
        opening = first
    part = known.only_with(squeeze(_without_frame(head))) if not known.multiple and len(squeeze(head)) >= 4 else ""
    if part and 2 * len(squeeze(_without_frame(head))) >= len(known.text_of(part)):
        return Found(part, "option_text")
    lines = (head, first, opening) if not known.multiple and not _other_lines(head, known) else (head,)
    for candidate in (part for line in lines for part in (line, _SUFFIX.sub("", line), _without_frame(line))):
        said = squeeze(candidate)
        same = [letter for letter, own in zip(known.letters, known.squeezed, strict=True) if own and own == said]
        said = squeeze(candidate)
        if not same and len(said) > 1 and not known.multiple:  # 次级 for 次级类
            same = [
                letter
                for letter, own in zip(known.letters, known.squeezed, strict=True)
                if (own.startswith(said) and len(said) > 0.6 * len(own) and not own[len(said) :][0].isdigit())
                or (own.endswith(said) and len(said) > 0.75 * len(own) > 6)
            ]
        if len(same) == 1:
            if "?" in candidate[-2:] and "?" not in known.texts[known.letters.index(same[0])][-2:].replace("？", "?"):
                return None
            return Found(same[0], "option_text") if not _more_letters(head, same[0], known) else None
    return None


def _without_frame(line: str) -> str:
    """正确答案是…, …是正确的: what is announced, unless it is denied."""
    prefix = PREFIX.match(line)
    if prefix and not re.search(r"不|非|没|除|未", prefix[0]):
        line = line[prefix.end() :]
    return _SUFFIX.sub("", line)


def _other_lines(text: str, known: Options) -> bool:
    return sum(squeeze(line) in known.squeezed for line in text.split("\n") if line.strip()) > 1


def _more_letters(text: str, letter: str, known: Options) -> bool:
    """Whether a text that opens with an option goes on to name another: then the announcements decide."""
    rest = text.partition("\n")[2]
    return bool(re.search(r"(?:答案|选)\s*(?:是|为|:)?\s*[A-J]", rest))


def by_option_text(text: str, known: Options, question: str) -> Found | None:
    """The only options whose texts stand in the output; for multiple choice if little else does."""
    if _REFUSING.search(text) or REFERS.search(text) or text.rstrip().endswith("?"):
        return None
    if _WRONG_BELOW.search(text) and not is_negative(question):
        return None
    text = _TEASER.sub("", text)
    said, breaks = _by_sentence(text)
    excluded = {match[1] for match in _EXCLUDED.finditer(text)}
    negative = is_negative(question)
    masked = said
    places: dict[str, int] = {}
    for own, letter in sorted(zip(known.squeezed, known.letters, strict=True), key=lambda pair: -len(pair[0])):
        if len(own) < 2 and not own.isdigit() and len(said) > 12:
            continue
        place = _find(masked, own)
        if own and place >= 0 and known.squeezed.count(own) == 1:
            places[letter] = place
            masked = masked.replace(own, "\n" * len(own))
    taken: list[str] = []
    denied: list[str] = []
    untold: list[str] = []
    affirmed: dict[str, int] = {}
    asked = squeeze(question)
    for letter, place in places.items():
        end = place + len(known.text_of(letter))
        before = masked[max(b for b in breaks if b <= place) : place]
        behind = masked[end : min(b for b in breaks if b >= end)]
        is_a = _CHAINED_IS_A.match(behind)
        other_kind = is_a and (
            another_kind(is_a[2], question) or (is_a[1] == "属于" and of_the_kind(is_a[2], question) is False)
        )
        untrue = _NOT_AFTER.search(behind) or other_kind
        refused = (
            _NOT_BEFORE.search(before)
            or (negative and is_a and of_the_kind(is_a[2], question))
            or untrue
            or _of_what_is_not(before, asked, negative)
            or (letter in excluded and not negative)
            or (negative and lists_the_kind(said[max(b for b in breaks if b <= place) : place], question))
        )
        if not negative and not untrue and (is_subject(before, question) or (is_a and of_the_kind(is_a[2], question))):
            affirmed[letter] = max(b for b in breaks if b <= place)
        if not known.multiple and re.match("也(?:是|属于|对|正确|可以)", behind):
            return Found(None, SEVERAL)
        if negative and untrue:
            untold.append(letter)
        (taken if not refused or (negative and untrue) else denied).append(letter)
    if not known.multiple and len(taken) > 1:
        taken = (
            _one_of(taken, affirmed, places, breaks)
            or _keyed(text, taken, known, asked)
            or _last_left(text, taken, known, negative)
            or _in_conclusion(text, known, negative)
            or _of_topic(text, taken, known, question)
            or taken
        )
    if negative and untold:  # what does not belong, beside what does
        taken = untold
    if not known.multiple and len(taken) > 1:
        taken = _only_one(text, known, negative) or taken
    if not known.multiple and not negative and len(taken) == 1 and _concludes_otherwise(text, taken[0], known):
        return None
    chosen = "".join(sorted(taken))
    runs = [run for run in re.findall("(?<![A-Za-z])[A-J]{2,8}(?![A-Za-z])", text) if len(set(run)) == len(run)]
    named = (set(_LETTER.findall(text)) | set("".join(runs)) - set("".join(known.words))) & set(known.letters)
    fits = named <= set(taken) if known.multiple else bool(named & set(taken)) or _beside_all(said, taken, named, known)
    each = not known.multiple and len(known.letters) > 2 and re.search("、".join(known.letters), text) is not None
    if taken and (each or (named - excluded - set(denied) and not fits)):
        # It speaks of other options by their letters.
        ended = [] if known.multiple else _in_conclusion(text, known, negative)
        return Found(ended[0], "option_in_text") if ended else None
    if taken and _says_something_else(masked, breaks, places, taken, known, question):
        return None
    others = THE_OTHERS.search(text)
    if known.multiple and denied and not taken and others and others[1][0] not in "不错有排":
        return Found("".join(letter for letter in known.letters if letter not in denied), "all_but")
    rest = OTHER_KIND.search(text) if known.multiple and denied and not taken and not negative else None
    if rest and of_the_kind(rest[1] or rest[2], question):
        return Found("".join(letter for letter in known.letters if letter not in denied), "all_but")
    if not chosen:
        return None
    if known.multiple and any(not known.mentions(open_[0], question) for open_ in OPEN_VERDICT.finditer(text)):
        return Found(None, HEDGE)
    if not known.multiple:
        return Found(chosen, "option_in_text") if len(chosen) == 1 else Found(None, SEVERAL)
    concluded = _list_in_conclusion(text, known, negative)
    if concluded:
        return Found(concluded, "options_in_text")
    if len(taken) == len(known.letters) and re.search("[不非没]|至于|[。;\n].*(?:都|均)是", text):
        return None  # every option is named, and not alike
    residue = [char for char in _FILLER.sub("", masked.replace("\n", "")) if char not in asked]
    return Found(chosen, "options_in_text") if len(residue) <= 8 else None


def _of_what_is_not(before: str, asked: str, negative: bool) -> bool:
    """Whether the list that goes on here is of what is not so (不合格的抵押物有…) and the question asks for what is."""
    found = None if negative else _LIST_OF_NOT.search(before)
    return found is not None and found[1][:2] not in asked


def _says_something_else(
    said: str, breaks: list[int], places: dict[str, int], taken: list[str], known: Options, question: str
) -> bool:
    """Whether options are only described: 五级分类包括…, 资产负债率是负债除以资产, 选项B是…, in words not asked for."""
    first = min(places[letter] for letter in taken)
    before = said[max(b for b in breaks if b <= first) : first]
    listed = re.fullmatch(r"(.{3,}?)(?:包括|包含|分为|有)", _FILLER_BEFORE.sub("", before))
    if listed and not is_negative(question):
        return not shares_words(listed[1], question)
    if len(taken) > 1 or known.multiple or is_negative(question):
        return False
    end = first + len(known.text_of(taken[0]))
    defined = _DEFINED.match(said[end : min(b for b in breaks if b >= end)])
    restated = re.fullmatch(rf"(?:选项{taken[0].lower()}|{taken[0].lower()}(?:选项|项))(?:是|为)", before)
    return bool(restated or (defined and not before and not shares_words(defined[1], question)))


def _one_of(taken: list[str], affirmed: dict[str, int], places: dict[str, int], breaks: list[int]) -> list[str]:
    """The one option said to be what is asked for, where the others stand in other clauses."""
    if len(affirmed) != 1:
        return []
    letter, begins = next(iter(affirmed.items()))
    ends = min(b for b in breaks if b > places[letter])
    together = [other for other in taken if other != letter and begins <= places[other] < ends]
    return [] if together or letter not in taken else [letter]


def _keyed(text: str, taken: list[str], known: Options, asked: str) -> list[str]:
    """第一支柱：…；第三支柱：市场纪律: the one option that stands behind words of the question and a colon."""
    rows = [(squeeze(key), squeeze(own)) for key, own in re.findall(r"([^。;,:\n]{2,20}):\s*([^。;,\n]+)", text)]
    found = [letter for letter in taken for key, own in rows if own == known.text_of(letter) and key in asked]
    return found if len(found) == 1 and len(rows) >= len(taken) else []


def _last_left(text: str, taken: list[str], known: Options, negative: bool) -> list[str]:
    """…，不征的就只有存款利息了: the option that a closing clause says is the only one of the kind asked for."""
    last = re.search(r"([^。;,\n]*)(?:只有|只剩下?|就是|当属)([^。;,\n]{2,}?)(?:了|这一?项|而已)?[。!\s]*$", text)
    if last is None or bool(re.search("[不非无未]", last[1])) != negative or re.search("但|如果|若", last[1]):
        return []
    return [letter for letter in taken if known.text_of(letter) == squeeze(last[2])]


def _only_one(text: str, known: Options, negative: bool) -> list[str]:
    """只有关注不属于不良贷款: the one option that alone is so, or alone is not so, as the question asks."""
    found = set()
    for clause in _ONLY.finditer(text):
        said = squeeze(clause[1])
        for own, letter in zip(known.squeezed, known.letters, strict=True):
            behind = said[len(own) :].removeprefix("才")
            others = re.match("[和与及或]", behind) or any(each and behind.startswith(each) for each in known.squeezed)
            if own and said.startswith(own) and behind and not others and (behind[0] in "不非没未") == negative:
                found.add(letter)
    return list(found) if len(found) == 1 else []


def _in_conclusion(text: str, known: Options, negative: bool) -> list[str]:
    """The one option that a closing 所以… ends on."""
    last = None if negative else _CONCLUDED.search(text.rstrip())
    if last is None or re.search("[不非没未除]|可能|或", last[1]):
        return []
    said = squeeze(last[1])
    if not any(own and said.endswith(own) for own in known.squeezed):
        said = re.sub(r"(?<=\d)(?:万?元|%|个月|年|天|倍)$", "", said)
    ending = [letter for own, letter in zip(known.squeezed, known.letters, strict=True) if own and said.endswith(own)]
    if not ending:
        return []
    longest = max(ending, key=lambda letter: len(known.text_of(letter)))
    before = said[: -len(known.text_of(longest))]
    lettered = set(_LETTER.findall(last[1])) <= {longest}
    alone = not any(own and own in before for own in known.squeezed)
    inside_number = before[-1:].isdigit() and known.text_of(longest)[0].isdigit()
    return [longest] if lettered and alone and not inside_number else []


_CONCLUDED_LIST = re.compile(
    r"(?:^|[。;\n])\s*(?:因此|所以|因而|故|综上(?:所述)?|总之)[,:\s]*([^。;,\n]*?)(?:有|包括|包含|是|为|:)+([^。;,:\n]+)[。!\s]*$"
)


def _list_in_conclusion(text: str, known: Options, negative: bool) -> str:
    """综上，中间业务有代理保险、代发工资: the letters of a closing list of options' texts; "" where there is none."""
    last = _CONCLUDED_LIST.search(text)
    if last is None or (re.search("[不非无未]", last[1]) is not None) != negative:
        return ""
    letters = [known.only_with(squeeze(name)) for name in re.split("[、和与及]", last[2])]
    return "".join(sorted(set(letters))) if len(letters) > 1 and all(letters) else ""


def _concludes_otherwise(text: str, letter: str, known: Options) -> bool:
    """资产增加, 所以不是收入: whether a closing 所以… speaks of other options only."""
    last = _CONCLUDED.search(text.rstrip())
    said = squeeze(last[1]) if last else ""
    return known.text_of(letter) not in said and any(own and own in said for own in known.squeezed)


def _beside_all(said: str, taken: list[str], named: set[str], known: Options) -> bool:
    """A、C、D是商业险, 必须投保的是交强险: all others are named by letter and the output ends on the one option."""
    if len(taken) != 1 or named != set(known.letters) - set(taken):
        return False
    own = known.text_of(taken[0])
    return f"只有{own}" in said or re.search(r"的[就才]?[是为]$", said.removesuffix(own)) is not None


def _of_topic(text: str, taken: list[str], known: Options, question: str) -> list[str]:
    """股指期货采用现金交割 beside 商品期货采用…: the one option that ends a sentence on what the question is about."""
    topic = _TOPIC.match(squeeze(question))
    sentences = [squeeze(part) for part in re.split(r"[。;\n]", text)]
    if not topic:
        return []
    said = {letter: [each for each in sentences if known.text_of(letter) in each] for letter in taken}
    of_it = [letter for letter in taken if any(topic[1] in each for each in said[letter])]
    ends = of_it and any(
        each.startswith(topic[1]) and each.endswith(known.text_of(of_it[0])) for each in said[of_it[0]]
    )
    return of_it if len(of_it) == 1 and ends and not re.search("也|还|或", text) else []


def _by_sentence(text: str) -> tuple[str, list[int]]:
    """The squeezed text, and the places in it at which sentences and clauses begin and end."""
    said, breaks = "", [0]
    for part in re.split(r"[。;!?\n,]", text):
        said += squeeze(part)
        breaks.append(len(said))
    return said, breaks


def by_value(text: str, known: Options, question: str) -> Found | None:
    """A bare amount that one option alone has: 20万 for 20万元."""
    result = re.search(r"=\s*([^=\n]{1,20})$", text.strip())
    head = result[1] if result else PREFIX.sub("", text.strip())
    head = _ONE_NUMERAL.sub(lambda match: str("零一二三四五六七八九十".find(match[0].replace("两", "二"))), head)
    said = quantities(head)
    if (
        len(head) > 16
        or len(said) != 1
        or re.sub(r"[\s\d.,%万亿元年月日天个百千分之点约人民币之。零一二三四五六七八九十两()]+", "", head)
    ):
        return None
    same = []
    for letter, own in zip(known.letters, known.texts, strict=True):
        found = quantities(fold(own))
        if (
            len(found) == 1
            and found[0].value == said[0].value
            and "" in (said[0].unit, found[0].unit, said[0].unit.replace(found[0].unit, ""))
            and len(own) <= 16
        ):
            same.append(letter)
    return Found(same[0], "option_value") if len(same) == 1 and not known.multiple else None


def _find(text: str, part: str) -> int:
    """Where `part` stands, not inside a longer number; -1 if nowhere."""
    start = text.find(part)
    while part and start >= 0:
        end = start + len(part)
        inside = (part[0].isdigit() and re.match(r"[\d.]", text[start - 1 : start])) or (
            part[-1].isdigit() and re.match(r"\d|\.\d|%", text[end : end + 2])
        )
        if not inside:
            return start
        start = text.find(part, end)
    return -1
