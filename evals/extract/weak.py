"""What an output that announces no letter still says: an option's text, or a verdict on each option."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evals.extract.found import HEDGE, SEVERAL, Found
from evals.extract.normalise import fold, squeeze
from evals.extract.numbers import quantities
from evals.extract.options import ALL_OF_THEM, NONE_OF_THEM, Options

_PREFIX = re.compile(
    r"^(?:[^\n。;!?]{0,12}?(?:答案|选项|选择|结论|本题|此题)?(?:是|为|"
    r"选|应为|应该是|应是|:|=)|答案|答|(?i:the\s+(?:correct\s+)?answer\s+is|"
    r"answer:))\s*:?\s*"
)
_SUFFIX = re.compile(r"\s*(?:是|为)(?:正确|对)的?(?:答案|选项)?[。.!]*$")
_NEGATIVE_QUESTION = re.compile(
    r"(?:不正确|错误|不属于|不包括|不包含|不是|不符合|不恰当|不准确|"
    r"有误|不对|不合理|不适用|无关|不需要?|不必|不会|不具|不能|不得|"
    r"不应|不可以?|"
    r"除外|未)[^。,?]{0,16}?的?(?:是|有|为|包括|一项|选项|说法|表述)[(\s_)。?:]*$|除[^,。]{0,12}外"
)
_NEXT = r"(?:\s*(?:、|,|和|与|及|以及)\s*(?:选项)?[A-J](?:选项|项)?(?![A-Za-z]))"
_HEAD = re.compile(
    r"(?:(?:^|(?<=[\s。;,、:!?\n()\"'{✅❌✓✗✔✘√×])|(?<=排除)|(?<=不选)|(?<=去掉)|(?<=除去)|(?<=去除)|(?<=对于)|(?<=可见)|"
    r"(?<=所以)|(?<=因此)|(?<=由于)|(?<=因为)|(?<=其中)|(?<=故)|(?<=但)|(?<=而)|(?<=只有))(?:选项|选)?\s*[(\[【]?"
    rf"(?<![A-Za-z0-9])(?:[A-J]{{2,8}}|[A-J])[)\]】\"']?(?:选项|项)?{_NEXT}*|"
    # A list of letters is one head wherever it stands, lest only its end be seen.
    rf"(?<![A-Za-z0-9])(?:[A-J]{{2,8}}(?![A-Za-z])|[A-J](?:选项|项)?(?:{_NEXT}{{2,}}|(?!\s*,){_NEXT})){_NEXT}*)"
    r"(?:\s*这?[一两二三四五六几]?个?(?:选项|项(?!目)|者))?(?![A-Za-z])"
)
_OPEN_VERDICT = re.compile(r"待定|存疑|不确定|也许|(?<!不)可能|或许|不好说")
_TAKEN = re.compile(r"(?:全|都|均|皆)选|(?<!不)(?:当选|入选|应选|要选|选上|该选)")
_NOT_TAKEN = re.compile(r"不当选|不入选|不应?选|不能选|排除|不该选|未选")
_RIGHT = re.compile(
    r"√|✓|✔|✅|☑|(?<!不)(?<!非)(?<!未)(?:正确|成立(?!与否)|全对|没问题|准确|符合|属于|没错|"
    r"没有错|无误|(?:是|为|的)对的|[:,、\s]对(?=$|[。,;\s])|^(?:都|均|"
    r"皆|才|就|也|是)*对(?=$|[。,;\s])|^\s*(?:都|均|皆|全)(?:是|为|属)(?!不)|^[\s:.、]*(?:是|可以|能)\s*(?:$|"
    r"[。,;\n])|(?i:true|yes))"
)
_WRONG = re.compile(
    r"干扰项|误区|陷阱|×|✗|✘|❌|✖|不(?:完全|太)?(?:正确|成立|准确|符合|属于|对)|错误|有误|"
    r"(?<!没)(?<!没有)(?<!过)(?<!差)错(?=$|[。,;\s的了])|并非|不是|不可|"
    r"不需|不包括|不能|^[\s:.、]*否|(?i:false|\bno\b)"
)
_IS_A = re.compile(
    r"\s*(?:项|选项)?(?:都|均|皆|全)*(?:是|为|属于?)(?!正确|错|对|不(?!当|良|正当|合理|合规))([^。;,\n]{2,20})"
)
_KIND = re.compile(r"(?:属于|是|为)(.{2,16}?)(?:的?(?:内容|项目|行为|方式|情形|范围))?的?(?:有|是|为|包括)?(?:多选)?$")
_OTHERS = (
    r"(?:其余|其他|其它|另外|剩下|余下)的?(?:选项|各项|几项|[一二三四五六两][项个])?(?:的?(?:说法|表述))?"
    r"(?:都|均|全部?|皆|则|就|为|是)*"
)
_THE_OTHERS = re.compile(
    _OTHERS + r"(不(?:正确|对|符合|属于|选)|错误?|有误|正确|对|符合|属于|当选|全选|都选|选|排除|是(?=[。;,\n]|$)|可以)"
)
_EXCEPT = re.compile(
    r"(?:除了?|只有|仅有?|唯独|唯有)\s*(?:选项)?([A-J]{1,8}(?:\s*(?:、|"
    r",|和|与|及)\s*[A-J])*)(?![A-Za-z])(?:选项|项|两项)?"
    r"(?:以外|之外|外)?,?(?:其余|其他|其它|别的|剩下|另外)?的?(?:选项|"
    r"各项|[一二三四五六几][项个])?(?:都|均|全|全部)*(?:是|为)?"
    r"(不?(?:正确|对|符合|属于|选|成立|可以|行|是)|错误?|不选|有误|(?<=的)(?:所有|全部)(?:选项)?)"
)
_WRONG_ONES = re.compile(
    r"(?:错误|不正确|不属于|不包括|不符合|有误|不对|不恰当|不准确|不是)[^\n。;,]{0,16}?(?:是|"
    r"为|有)\s*:?\s*(?:选项)?([A-J](?:\s*(?:、|,|和|与|及)?\s*[A-J])*)(?![A-Za-z])"
)
_REFUSING = re.compile(
    r"抱歉|无法|不能(?:回答|提供|给出)|没有(?:正确|合适|符合)的?(?:答案|选项)|(?i:sorry|cannot|unable)"
)
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
    r"并非|排除|不选|而非|不应|除了?|不为|不会|不能|没有|非|不对的?是|"
    r"错误的?是|而不是)[^。;,\n]{0,6}$"
)
_CHAINED_IS_A = re.compile(r"(?:\n|和|与|及|以及)*(?:都|均|皆)?属于([^\n]{2,12})")
_NOT_AFTER = re.compile(
    r"^(?:\n|和|与|及|以及)*[^\n]{0,8}?(?:不正确|错误|不对|不符合|不属于|有误|排除|不是|不选|不恰当)"
)


def whole_text(text: str, known: Options, question: str) -> Found | None:
    """The output is the text of one option, with or without an announcement before it or its letter behind."""
    head = text.strip()
    named = re.fullmatch(r"([^\n]+?)\s*\(\s*([A-J])\s*\)\s*[。.]?", head)
    if named and known.text_of(named[2]) == squeeze(named[1]) != "":
        return Found(named[2], "option_text")
    first = head.partition("\n")[0]
    lines = (head, first) if not known.multiple and not _other_lines(head, known) else (head,)
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
    prefix = _PREFIX.match(line)
    if prefix and not re.search(r"不|非|没|除|未", prefix[0]):
        line = line[prefix.end() :]
    return _SUFFIX.sub("", line)


def _other_lines(text: str, known: Options) -> bool:
    return sum(squeeze(line) in known.squeezed for line in text.split("\n") if line.strip()) > 1


def _more_letters(text: str, letter: str, known: Options) -> bool:
    """Whether a text that opens with an option goes on to name another: then the announcements decide."""
    rest = text.partition("\n")[2]
    return bool(re.search(r"(?:答案|选)\s*(?:是|为|:)?\s*[A-J]", rest))


def by_verdicts(text: str, known: Options, question: str) -> Found | None:
    """Options told apart one by one, by exclusion, or all at once."""
    negative = bool(_NEGATIVE_QUESTION.search(fold(question)[-60:]))
    text = re.sub(r"(?<=[对错误确√×✓✗✅❌])(?=[A-J]{1,8}(?![A-Za-z]))", ",", text)
    told = (
        _except(text, known, negative) or _all_or_none(text, known) or (negative and _named_wrong(text, known)) or None
    )
    if told is not None:
        return told
    verdicts: dict[str, bool] = {}
    taken: dict[str, bool] = {}
    groups, asked = 0, squeeze(question)
    for letters, chunk in _chunks(text, known):
        groups += 1
        if _OPEN_VERDICT.search(chunk):
            return Found(None, HEDGE)
        takes, leaves = _TAKEN.search(chunk), _NOT_TAKEN.search(chunk)
        right, wrong = _RIGHT.search(chunk), _WRONG.search(chunk)
        named = _IS_A.match(chunk)
        if named and asked and not wrong:
            of_the_kind = _of_the_kind(squeeze(named[1]), asked)
            if of_the_kind is not None:
                right, wrong = (named, None) if of_the_kind else (None, named)
        for letter in letters:
            if takes or leaves:
                taken[letter] = not leaves
            if not right and not wrong:
                continue
            verdict = right is not None and (wrong is None or right.start() < wrong.start())
            if verdicts.setdefault(letter, verdict) != verdict:
                return Found(None, SEVERAL)
    others = _THE_OTHERS.search(text)
    if others and (verdicts or taken):
        for letter in known.letters:
            if "选" in others[1]:
                taken.setdefault(letter, others[1] != "不选")
            else:
                verdicts.setdefault(letter, others[1][0] not in "不错有排" and taken.get(letter, True))
    apart = _told_apart(taken, known, False) or _told_apart(verdicts, known, negative)
    told_of = taken or verdicts
    if apart is None and known.multiple and groups == 1 and len(told_of) > 1 and all(told_of.values()):
        return Found("".join(sorted(told_of)), "verdict") if taken or not negative else None
    return apart


def _of_the_kind(said: str, asked: str) -> bool | None:
    """Whether what an option is said to be is what the question asks for; None where it asks for no kind of thing."""
    kind = _KIND.search(asked)
    if kind is None:
        return None
    runs = {kind[1][place : place + 4] for place in range(max(1, len(kind[1]) - 3))}
    return said.startswith(kind[1][:2]) or any(run in said for run in runs)


def _told_apart(verdicts: dict[str, bool], known: Options, negative: bool) -> Found | None:
    """One option apart from all others (single), or the right ones of all (multiple)."""
    right = "".join(sorted(letter for letter, verdict in verdicts.items() if verdict != negative))
    complete = len(verdicts) == len(known.letters)
    if known.multiple:
        return Found(right, "verdicts") if complete and right else None
    if complete and len(right) == 1:
        return Found(right, "verdicts")
    if not right and len(verdicts) == len(known.letters) - 1:  # all but one are excluded
        return Found(next(letter for letter in known.letters if letter not in verdicts), "elimination")
    return Found(right, "verdict") if len(right) == 1 and not complete else None


def _chunks(text: str, known: Options) -> Iterator[tuple[str, str]]:
    """(letters, what is said of them up to the next letters)."""
    heads = list(_HEAD.finditer(text))
    for place, head in enumerate(heads):
        letters = "".join(letter for letter in re.findall(r"[A-J]", head[0]) if letter in known.letters)
        end = heads[place + 1].start() if place + 1 < len(heads) else len(text)
        chunk = text[head.end() : end]
        stop = _THE_OTHERS.search(chunk)
        before = text[max(0, head.start() - 6) : head.start()]
        excluded = re.search(r"(?:排除|不选|去掉|除去|去除)(?:选项)?$", before)
        if letters and not re.match(r"\s*(?:股|类|公司|企业|银行|级)", chunk):
            chunk = chunk[: stop.start() if stop else None]
            if place + 1 < len(heads):  # it belongs to the letters behind it
                chunk = re.sub(r"(?:排除|不选|去掉|除去|去除)(?:选项)?$", "", chunk)
            yield letters, ("排除," if excluded else "") + chunk


def _except(text: str, known: Options, negative: bool) -> Found | None:
    match = _EXCEPT.search(text)
    if not match:
        return None
    named = "".join(sorted(set(re.findall(r"[A-J]", match[1]))))
    if not set(named) <= set(known.letters) or (len(named) > 1 and not known.multiple):
        return None
    only = match[0][0] in "只仅唯"
    wrong = match[2][0] in "不错有"
    apart_right = (not wrong) if only else wrong  # whether what is set apart is right
    if known.multiple:
        if apart_right == negative:
            return Found("".join(letter for letter in known.letters if letter not in named), "all_but")
        return Found(named, "only")
    if only and match[2] == "不选":
        return None
    return Found(named, "only") if apart_right != negative else None


def _named_wrong(text: str, known: Options) -> Found | None:
    """错误的是D, where the question asks for what is wrong."""
    match = _WRONG_ONES.search(text)
    if not match:
        return None
    named = "".join(sorted(set(re.findall(r"[A-J]", match[1]))))
    return (
        Found(named, "named_wrong")
        if set(named) <= set(known.letters) and (len(named) == 1 or known.multiple)
        else None
    )


def _all_or_none(text: str, known: Options) -> Found | None:
    line = text.strip().partition("\n")[0]
    heads = [head for head in (squeeze(line), squeeze(_PREFIX.sub("", line))) if len(head) <= 40]
    for pattern, rule in ((NONE_OF_THEM, "none_of_them"), (ALL_OF_THEM, "all_of_them")):
        if not any(pattern.match(head) for head in heads):
            continue
        letter = known.special(pattern)
        if letter is not None:
            return Found(letter, rule)
        if known.multiple and rule == "all_of_them":
            return Found(known.letters, rule)
        return None
    return None


def by_option_text(text: str, known: Options, question: str) -> Found | None:
    """The only options whose texts stand in the output; for multiple choice if little else does."""
    if _REFUSING.search(text) or text.rstrip().endswith("?"):
        return None
    said, breaks = _by_sentence(text)
    negative = bool(_NEGATIVE_QUESTION.search(fold(question)[-60:]))
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
    asked = squeeze(question)
    for letter, place in places.items():
        end = place + len(known.text_of(letter))
        before = masked[max(b for b in breaks if b <= place) : place]
        behind = masked[end : min(b for b in breaks if b >= end)]
        is_a = _CHAINED_IS_A.match(behind)
        untrue = _NOT_AFTER.search(behind) or (is_a and _of_the_kind(is_a[1], asked) is False and not negative)
        refused = _NOT_BEFORE.search(before) or untrue
        (taken if not refused or (negative and untrue) else denied).append(letter)
    chosen = "".join(sorted(taken))
    others = _THE_OTHERS.search(text)
    if known.multiple and denied and not taken and others and others[1][0] not in "不错有排":
        return Found("".join(letter for letter in known.letters if letter not in denied), "all_but")
    if not chosen:
        return None
    if not known.multiple:
        return Found(chosen, "option_in_text") if len(chosen) == 1 else Found(None, SEVERAL)
    residue = [char for char in _FILLER.sub("", masked.replace("\n", "")) if char not in asked]
    return Found(chosen, "options_in_text") if len(residue) <= 8 else None


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
    head = result[1] if result else _PREFIX.sub("", text.strip())
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
    for match in re.finditer(re.escape(part), text):
        inside = (part[0].isdigit() and re.match(r"[\d.]", text[match.start() - 1 : match.start()])) or (
            part[-1].isdigit() and re.match(r"\d|\.\d|%", text[match.end() : match.end() + 2])
        )
        if not inside:
            return match.start()
    return -1
