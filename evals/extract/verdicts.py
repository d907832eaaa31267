"""Verdicts on options: told apart one by one, by exclusion, or all at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evals.extract.asked import another_kind, is_negative, of_the_kind, shares_words
from evals.extract.found import HEDGE, SEVERAL, UNREADABLE, Found
from evals.extract.normalise import squeeze
from evals.extract.options import ALL_OF_THEM, NONE_OF_THEM, Options

PREFIX = re.compile(
    r"^(?:[^\n。;!?]{0,12}?(?:答案|选项|选择|结论|本题|此题)?(?:是|为|"
    r"选|应为|应该是|应是|:|=)|答案|答|(?i:the\s+(?:correct\s+)?answer\s+is|"
    r"answer:))\s*:?\s*"
)
_NEXT = r"(?:\s*(?:、|,|和|与|及|以及)\s*(?:选项)?[A-J](?:选项|项)?(?![A-Za-z]))"
_HEAD = re.compile(
    r"(?:(?:^|(?<=[\s。;,、:!?\n()\"'{✅❌✓✗✔✘√×])|(?<=排除)|(?<=不选)|(?<=去掉)|(?<=除去)|(?<=去除)|(?<=剔除)|(?<=对于)|(?<=可见)|"
    r"(?<=所以)|(?<=因此)|(?<=由于)|(?<=因为)|(?<=其中)|(?<=故)|(?<=但)|(?<=而)|(?<=只有))(?:选项|选)?\s*[(\[【]?"
    rf"(?<![A-Za-z0-9])(?:[A-J]{{2,8}}|[A-J])[)\]】\"']?(?:选项|项)?{_NEXT}*|"
    # A list of letters is one head wherever it stands, lest only its end be seen.
    rf"(?<![A-Za-z0-9])(?:[A-J]{{2,8}}(?![A-Za-z])|[A-J](?:选项|项)?(?:{_NEXT}{{2,}}|(?!\s*,){_NEXT})){_NEXT}*)"
    r"(?:\s*这?[一两二三四五六几]?个?(?:选项|项(?!目)|者))?(?![A-Za-z])"
)
OPEN_VERDICT = re.compile(r"不(?:都|全(?!面)|一定)|并非[都全]|未必|待定|存疑|不确定|也许|(?<!不)可能|或许|不好说")
_TAKEN = re.compile(
    r"^[\s:.、]*选之?(?=$|[。,;\s])|(?:全|都|均|皆)选|(?<!不)(?:当选|入选|应选|要选|选上|该选|符合题意|符合题目要求|保留(?=$|[。,;\s]))"
)
_NOT_TAKEN = re.compile(
    r"不符合?题意|不合题意|不符合题目要求|弃之|剔除|舍去|不当选|不入选|不应?选|不能选|排除|不该选|未选"
)
_RIGHT = re.compile(
    r"√|✓|✔|✅|☑|(?<!不)(?<!非)(?<!未)(?:正确|(?<![一-鿿]{2}同)(?<!合同)成立(?=$|[。,;\s了的])|全对|没问题|没有(?:什么|任何)?问题|没啥问题|准确|符合|属于|没错|"
    r"没有错|无误|(?:是|为|的)对的|[:,、\s得]对(?=$|[。,;:、\s])|^(?:都|均|"
    r"皆|才|就|也|是)*对(?=$|[。,;:、\s])|^\s*(?:都|均|皆|全)(?:是|为|属)(?!不)|^[\s:.、]*(?:也|都|均)*(?:是|可以|能)\s*(?:$|"
    r"[。,;\n])|(?i:true|yes))"
)
_WRONG = re.compile(
    r"干扰项|误区|陷阱|×|✗|✘|❌|✖|不(?:完全|太)?(?:正确|成立|准确|符合|属于|对)|错误|有误|"
    r"(?<!没)(?<!没有)(?<!过)(?<!差)错(?=$|[。,;:、\s的了在])|并非|不是|不可|"
    r"无关(?=$|[。,;\s])|不在(?:其中|此列|内|列|等式)?(?=$|[。,;\s里中])|没有(?=$|[。,;])|不得(?!不)|不需|不包括|不能|不会(?=$|[。,;\s])|^[\s:.、]*否|(?i:false|\bno\b)"
)
_IS_A = re.compile(
    r"\s*(?:项|选项)?(?:都|均|皆|全)*(?:是|为|属于?)(?!正确|错|对|不(?!当|良|正当|合理|合规))([^。;,\n]{2,20})"
)
_IS_NOT_A = re.compile(r"\s*(?:项|选项)?(?:都|均|并|皆)*不(?:属于|是)([^。;,\n]{2,20})")
_REST = r"(?:其余|其他|其它|另外|剩下|剩余|余下|除此(?:以外|之外))"
_OTHERS = (
    _REST + r"的?(?:选项|各项|几项|[一二三四五六两][项个])?(?:的?(?:说法|表述))?"
    r"(?:都|均|全部?|皆|则|就|为|是)*"
)
THE_OTHERS = re.compile(
    _OTHERS + r"(不(?:正确|对|符合|属于|选)|错误?|有误|正确|对|符合|属于|当选|入选|全选|都选|选|排除|"
    r"(?:是|保留|答案)(?=[。;,\n]|$)|可以)"
)
# 其余三种情形代理都终止, 其他四项是必须记载的: the others are so, in whatever words.
_OTHERS_DO = re.compile(
    _REST + r"(?:的|选项|各项|几项|[一二三四五六两][项个种])?"
    r"(?:[^。;,\n不非没无未]{0,12}?(?:都|均|皆|全)|(?<=[项个种])(?:则|就)?(?:是|为|可以|能|应|属于|要))(?!是?[不非没无未错误])"
)
_NEGATED = re.compile(
    r"\s*(?:选项|项)?(?:的?(?:说法|表述))?(?:则|也|就|都|均|是|并|显然|明显)*(?:不(?!仅|但|止|断|良|动产|当得|正当)|没(?!有?问题|有?错)|违反|违规)"
)
_AFFIRMED = re.compile(
    r"\s*(?:选项|[一二两三四五六]?[项者个])?(?:的?(?:说法|表述|做法))?\s*(?:都|均|皆|全|则|也|就)*(?:是|为|可以?|能|应当?|属于|符合|合规|有|包括|在(?=$|[。,;列内]))(?![不非])"
)
_MARK, _TICKS = "[✅✓✔√☑❌✗✘×✖]", "✅✓✔√☑"
_MARK_FIRST = re.compile(rf"\s*[-•]?\s*{_MARK}\s*\(?[A-J](?![A-Za-z])")
_MARK_BEFORE = re.compile(rf"({_MARK})\s*\(?([A-J])(?![A-Za-z])")
_NUMBERED = re.compile(r"^\s*\(?\d{1,2}\s*[.、)]")
_YES_NO = re.compile(r"[\s:.、]*[是否][\s。,;]*")
_ALL_DO = re.compile(r"\s*(?:都|均|皆)(?:[^不非无未没误错。;]|不(?=良|动产|当))+(?:[。;,]|$)")
_DO = re.compile(r"\s*(?:会|能|可以?|构成|需|应)(?:[^不非无未没误错。;,])+(?:[。;,]|$)")
_ITEM = r"[^、,。;:\n()A-J]{0,16}(?:\(\s*[A-J]\s*\)|[A-J](?![A-Za-z]))"
_LIST = re.compile(
    rf"(?P<subject>[^。;:\n]{{2,40}}?)(?:有|包括|包含|是|为|:)+\s*(?P<list>{_ITEM}(?:(?:、|,|和|与|及|以及){_ITEM})+)(?=等?[。.;\n]|$)"
)
_CONNECTIVE = re.compile(
    r"^\s*(?:因此|所以|故|综上(?:所述)?|可见|总之|即)*,?(?:(?:本题|此题|该题|这题)的?(?:应该?|应当|可以?|答案[是为])?)?"
)
_NOT_ALL = re.compile(
    r"(?:不[能应该可是]*|有些?人.{0,4}|误|以为)(?:全|都)选|(?:全|都)选[^。;\n]{0,4}(?:错|不对|不正确|不行)"
)
_COUNT = re.compile(r"(?:以上|上述|这)?([二三四五六七八])(?:个|项|者)")
OTHER_KIND = re.compile(_OTHERS + r"(?<=[是为])(?!正确|错|对)([^。;,\n]{2,20})|" + _OTHERS + r"属于([^。;,\n]{2,20})")
_EXCEPT = re.compile(
    r"(?:(?<![排去])除了?|只有|仅有?|唯独|唯有)\s*(?:选项)?([A-J]{1,8}(?:\s*(?:、|"
    r",|和|与|及)\s*[A-J])*)(?![A-Za-z])(?:选项|项|两项)?"
    r"(?:以外|之外|外)?,?(?:其余|其他|其它|别的|剩下|另外)?的?(?:选项|说法|表述|"
    r"各项|[一二三四五六几][项个])?(?:都|均|全|全部)*(?:是|为)?"
    r"(不?(?:要|应该?|应当|该|能)?(?:正确|对|符合|属于|选|当选|入选|成立|可以?(?!能)|行|得|是|均?可(?!能))|错误?|不选|有误|(?<=的)(?:所有|全部)(?:选项)?)"
)
_WRONG_ONES = re.compile(
    r"(?:错误|(?<!没)(?<!没有)有问题|说错|错的|不正确|不属于|不包括|不符合|有误|不对|不恰当|不准确|不是|不得|不能|不应|不可以?|不需要?)"
    r"[^\n。;,]{0,16}?(?:是|为|有|:)\s*:?\s*[(\[【]?(?:选项)?([A-J](?:\s*(?:、|,|和|与|及)?\s*[A-J])*)(?![A-Za-z])"
)


# 故不包括D项, where the question asks what is not included.
_CONCLUDED_NOT = re.compile(
    r"(?:因此|所以|故|综上)[^\n。;]{0,8}不(?:包括|包含|含|属于|得|符合)[^\n。;,A-J]{0,4}([A-J])"
    r"(?![A-Za-z]|(?:选项|项)?\s*[、,和与及]\s*[A-J])"
)
_SOME = r"(?:选项)?[A-J](?:选项|项)?(?:\s*(?:、|,|或者?|和|与|及|以及)\s*(?:选项)?[A-J](?:选项|项)?)*(?![A-Za-z])"
_DENIALS = re.compile(
    rf"(?:[\s,。;]*(?:答案|选项)?[既也又更且都而]*(?:不可能是|不会是|不是|不应?选|并非|非|排除)\s*{_SOME})+[\s。]*"
)
_REST_IS_IT = re.compile(
    r"就?是(?:剩下|剩余|其余|余下)的那?一?[个项]|(?:剩下|剩余|其余|余下)的?[那这]?(?:一?[个项])?(?:选项)?[就便才即]?[是为](?:本题|正确|所求)?的?(?:答案|正确选项)"
)


def others_are_so(text: str, question: str) -> bool:
    """Whether the options that are not named are said to be what the question asks for: 其余均正确, 其他选项属于…."""
    others, kind = THE_OTHERS.search(text), OTHER_KIND.search(text)
    if is_negative(question):
        return False
    if kind:
        return bool(of_the_kind(kind[1] or kind[2], question))
    return others is not None and others[1][0] not in "不错有排是属答"


def by_marks(text: str, known: Options, question: str) -> Found | None:
    """Ticks and crosses before the letters, or beside the texts, of options: ✅ A 存货, 存货 √."""
    marked = [(letter, mark) for mark, letter in _MARK_BEFORE.findall(text)] if _MARK_FIRST.match(text) else []
    ends = r"[\n、,;。]" if re.match(rf"\s*{_MARK}", text) else rf"[\n、,;。]|(?<={_MARK})(?!\s*\()"
    for line in () if marked else re.split(ends, text):
        said = re.sub(rf"{_MARK}|\([^()]*\)", "", line)
        marks, own = re.findall(_MARK, line), squeeze(_NUMBERED.sub("", said))
        if len(marks) == 1 and own and known.squeezed.count(own) == 1:
            marked.append((known.letters[known.squeezed.index(own)], marks[0]))
    verdicts = {letter: mark in _TICKS for letter, mark in marked if letter in known.letters}
    if len(verdicts) < 2:
        return None
    if any(verdicts[letter] != (mark in _TICKS) for letter, mark in marked if letter in verdicts):
        return Found(None, SEVERAL)
    right = "".join(sorted(letter for letter, verdict in verdicts.items() if verdict))
    complete = len(verdicts) == len(known.letters)
    if not known.multiple and not right and len(verdicts) == len(known.letters) - 1 and not is_negative(question):
        return Found(next(letter for letter in known.letters if letter not in verdicts), "elimination")
    if known.multiple:  # where the question asks for what is wrong, a tick may mean true or chosen
        readable = complete and right and not is_negative(question)
        return Found(right, "verdicts") if readable else Found(None, UNREADABLE)
    apart = right
    if is_negative(question) and complete and len(right) == len(known.letters) - 1:
        apart = "".join(letter for letter in known.letters if letter not in right)
    return Found(apart, "verdicts") if len(apart) == 1 else Found(None, SEVERAL)


def _listed(text: str, known: Options, question: str, negative: bool) -> Found | None:
    """担保方式有保证（A）、抵押（B）: the letters of a list that is said to be what the question asks for."""
    if negative or not known.multiple:
        return None
    for match in _LIST.finditer(text):
        if shares_words(match["subject"], question) and not re.search("[不非无未错误除]", match["subject"]):
            letters = "".join(sorted(set(re.findall(r"(?<![A-Za-z])[A-J](?![A-Za-z])", match["list"]))))
            if len(letters) > 1 and set(letters) <= set(known.letters):
                return Found(letters, "listed_options")
    return None


def by_verdicts(text: str, known: Options, question: str) -> Found | None:
    """Options told apart one by one, by exclusion, or all at once."""
    if re.search(r"吗\s*\??\s*$", text):
        return None
    text = re.sub(r"说法(?=[A-J](?![A-Za-z]))", "", text)
    text = re.sub(r"([A-J])\s*\(([TF])\)", lambda flag: f"{flag[1]}{'正确' if flag[2] == 'T' else '错误'};", text)
    text = re.sub(r"(?<=[对错误确√×✓✗✅❌])(?=[A-J]{1,8}(?![A-Za-z]))", ",", text)
    negative = is_negative(question)
    found = (
        _except(text, known, negative)
        or _only_this(text, known, negative)
        or _all_or_none(text, known, negative)
        or (negative and _named_wrong(text, known))
        or (None if known.multiple else _left_over(text, known) or _odd_one(text, known))
        or None
    )
    if found is not None:
        return found
    told = _Told(known, question, negative)
    for letters, chunk in _chunks(text, known):
        found = told.hear(letters, chunk)
        if found is not None:
            return found
    others = told.hear_of_others(text)
    if told.is_of_other_kinds():
        return None
    return told.left_over(text, others) or _listed(text, known, question, negative) or told.decided()


class _Told:
    """What is said of each option: whether it is so, whether it is taken, and in which words.

    Args:
        negative: the question asks for what is not so.
    """

    def __init__(self, known: Options, question: str, negative: bool):
        self.known = known
        self.question = question
        self.negative = negative
        self.verdicts: dict[str, bool] = {}
        self.taken: dict[str, bool] = {}
        self.kinds: dict[str, bool] = {}
        """Whether they are called what the question asks for, or something else."""
        self.affirmed: set[str] = set()
        """Something is said of them that denies nothing."""
        self.described: set[str] = set()
        """They are called something that is no sister of what the question asks for."""
        self.refused = False
        self.groups = 0

    def hear(self, letters: str, chunk: str) -> Found | None:
        """What is said of some options together; a refusal to read where it contradicts or leaves open."""
        known, negative = self.known, self.negative
        self.groups += 1
        marked = re.search(f"{_MARK}\\s*$", chunk)
        if not marked and any(not known.mentions(open_[0], self.question) for open_ in OPEN_VERDICT.finditer(chunk)):
            return Found(None, HEDGE)
        takes, leaves = _TAKEN.search(chunk), _NOT_TAKEN.search(chunk)
        right, wrong = _RIGHT.search(chunk), _WRONG.search(chunk)
        if not (right or wrong or takes or leaves) and known.multiple:
            wrong = _NEGATED.match(chunk)
        if negative and known.multiple and _YES_NO.fullmatch(chunk):
            return Found(None, SEVERAL)  # whether it is so, or whether it is an answer
        of_another = _IS_NOT_A.match(chunk)
        if negative and of_another and another_kind(of_another[1], self.question):
            return None  # it may well be of the kind that is asked about
        named = _IS_A.match(chunk)
        if named and self.question and not wrong:
            kindred = of_the_kind(named[1], self.question)
            if kindred is not None:
                right, wrong = (named, None) if kindred else (None, named)
                self.kinds.update(dict.fromkeys(letters, kindred))
            if kindred is False and not another_kind(named[1], self.question):
                self.described |= set(letters)
        self.refused |= wrong is not None and wrong is not named
        if not (right or wrong) and known.multiple and len(letters) > 1 and shares_words(chunk, self.question):
            right = _ALL_DO.match(chunk) or _DO.match(chunk)
        if takes or leaves:
            self.taken.update(dict.fromkeys(letters, not leaves))
        if not right and not wrong:
            self.affirmed |= set(letters) if _AFFIRMED.match(chunk) else set()
            return None
        verdict = right is not None and (wrong is None or right.start() < wrong.start())
        if any(self.verdicts.setdefault(letter, verdict) != verdict for letter in letters):
            return Found(None, SEVERAL)
        return None

    def hear_of_others(self, text: str) -> bool:
        """What is said of 其余: whether it is anything that tells them apart."""
        rest = OTHER_KIND.search(text)
        if rest and self.kinds and of_the_kind(rest[1] or rest[2], self.question):
            self.kinds |= {letter: True for letter in self.known.letters if letter not in self.verdicts}
            self.verdicts = {**self.kinds, **self.verdicts}
        others = THE_OTHERS.search(text)
        if not others or not (self.verdicts or self.taken):
            return others is not None
        for letter in self.known.letters:
            if "选" in others[1] or others[1] in ("保留", "答案"):
                said = None if self.negative else self.verdicts.get(letter)
                self.taken.setdefault(letter, others[1] != "不选" if said is None else said)
            else:
                self.verdicts.setdefault(letter, others[1][0] not in "不错有排" and self.taken.get(letter, True))
        return True

    def is_of_other_kinds(self) -> bool:
        """Whether all are sorted into kinds and none into the one that is asked for."""
        kinds = self.kinds
        return bool(kinds) and not self.taken and not any(kinds.values()) and all(one in kinds for one in self.verdicts)

    def left_over(self, text: str, others: bool) -> Found | None:
        """Of several right ones those of which nothing is denied, where something is said of them too."""
        known, told = self.known, self.taken or self.verdicts
        if not known.multiple or self.negative:
            return None
        if self.affirmed == set(known.letters) and not told:
            return Found(known.letters, "all_of_them")
        if others or not told or any(told.values()):
            return None
        left = set(known.letters) - (set(told) - self.described)
        said = self.affirmed | self.described
        rest_do = _OTHERS_DO.search(text) is not None
        if left and ((self.refused and left == said) or (rest_do and not said)):
            return Found("".join(sorted(left)), "all_but")
        return None

    def decided(self) -> Found | None:
        """The options that are set apart, or of which alone something is said."""
        known, verdicts, taken = self.known, self.verdicts, self.taken
        apart = _told_apart(taken, known, False) or _told_apart(verdicts, known, self.negative)
        if apart or not known.multiple:
            return apart
        if taken and not any(taken.values()) and set(taken) | set(verdicts) == set(known.letters):
            right = [one for one, verdict in verdicts.items() if verdict != self.negative and one not in taken]
            return Found("".join(sorted(right)), "verdicts") if right else None
        told = taken or verdicts
        if self.groups == 1 and len(told) > 1 and all(told.values()):
            return Found("".join(sorted(told)), "verdict") if taken or not self.negative else None
        if self.negative and self.groups == 1 and len(verdicts) > 1 and not any(verdicts.values()):
            return Found("".join(sorted(verdicts)), "named_wrong")
        return None


def _odd_one(text: str, known: Options) -> Found | None:
    """A征，B征，C不征，D征: of all options the one of which the opposite is said."""
    said: dict[str, str] = {}
    for letters, chunk in _chunks(text, known):
        said.update(dict.fromkeys(letters, re.sub("[也都均就则]", "", squeeze(chunk))))
    for letter, own in said.items():
        others = {each for other, each in said.items() if other != letter}
        if len(said) == len(known.letters) > 2 and len(others) == 1:
            plain_one, denied_one = sorted((own, *others), key=len)
            if plain_one and denied_one in ("不" + plain_one, "未" + plain_one, "非" + plain_one):
                return Found(letter, "verdicts")
    return None


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
        runs = re.findall(r"[A-J]+", head[0])
        word = any(len(run) > 1 and not set(run) <= set(known.letters) for run in runs)  # AI, of A to D
        letters = "" if word else "".join(letter for letter in "".join(runs) if letter in known.letters)
        end = heads[place + 1].start() if place + 1 < len(heads) else len(text)
        chunk = text[head.end() : end]
        stop = THE_OTHERS.search(chunk)
        before = text[max(0, head.start() - 6) : head.start()]
        excluded = re.search(r"(?:排除|不选|去掉|除去|去除|剔除)(?:选项)?$", before)
        if letters and not re.match(r"\s*(?:股|超|站|类|公司|企业|银行|级)", chunk):
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
    negative = negative and "选" not in match[2]  # what is taken is what the question asks for
    apart_right = (not wrong) if only else wrong  # whether what is set apart is right
    if known.multiple:
        if apart_right == negative:
            return Found("".join(letter for letter in known.letters if letter not in named), "all_but")
        return Found(named, "only")
    if only and match[2] == "不选":
        return None
    return Found(named, "only") if apart_right != negative else None


_ONLY_THIS = re.compile(
    r"(?:^|[。;,\n])\s*(?:而|但)?(?:只有|仅有?|唯有|唯独)\s*([A-J])(?:选项|项)?(?![A-Za-z、,和与])([^。;,\n]{1,14})[。!\s]*$"
)
_ALL_BUT = re.compile(
    r"(?i:\b(?:everything|all|every\s+one)\s+(?:except|but)(?:\s+for)?)\s+(?:option\s+)?([A-J])(?![A-Za-z])"
)
_ANSWER_REST = re.compile(r"答案(?:应该?)?(?:是|为|选)(?:其他|其余|剩下|余下)的?[一二三四五]?[项个]")
_SO_MANY = re.compile(r"(?:正确|符合|属于|对)的有([二三四五六])[个项]")
_LEAVE_OUT = re.compile(r"排除\s*([A-J](?:\s*[、,和与及]?\s*[A-J])*)[^。;\n]{0,6}选?(?:剩下|其余|余下|剩余)的?")


def _only_this(text: str, known: Options, negative: bool) -> Found | None:
    """A、B都在，只有C不在: the one option of which a closing clause says what the question asks for."""
    but, many, wrong = _ALL_BUT.search(text), _SO_MANY.search(text), _WRONG_ONES.search(text)
    if but and known.multiple and but[1] in known.letters:
        return Found(known.letters.replace(but[1], ""), "all_but")
    if many and wrong and known.multiple and not negative:
        left = "".join(letter for letter in known.letters if letter not in wrong[1])
        return Found(left, "all_but") if len(left) == "一二三四五六".index(many[1]) + 1 else None
    rest = _ANSWER_REST.search(text)
    if rest and known.multiple:
        left = "".join(letter for letter in known.letters if letter not in re.findall(r"(?<![A-Za-z])[A-J]", text))
        return Found(left, "all_but") if left and len(left) < len(known.letters) else None
    out = _LEAVE_OUT.search(text)
    if out and known.multiple:
        left = "".join(letter for letter in known.letters if letter not in out[1])
        return Found(left, "all_but") if len(left) > 1 else None
    only = _ONLY_THIS.search(text)
    if only is None or known.multiple or only[1] not in known.letters:
        return None
    denies = re.match(r"\s*(?:是|为|才|就)*[不非无未没]", only[2]) is not None
    return Found(only[1], "only") if denies == negative else None


def _left_over(text: str, known: Options) -> Found | None:
    """The one option that is not named, where the rest is called the answer or the output only denies."""
    if not (_REST_IS_IT.search(text) or _DENIALS.fullmatch(text)):
        return None
    left = set(known.letters) - set(re.findall(r"(?<![A-Za-z])[A-J](?![A-Za-z])", text))
    return Found(left.pop(), "elimination") if len(left) == 1 else None


_NOT_THIS = re.compile(r"(?:^|[。;,\n])\s*不(?:包括|属于|符合|是)\s*([A-J](?:\s*[、和与及]\s*[A-J])*)\s*[。!]?\s*$")


def _named_wrong(text: str, known: Options) -> Found | None:
    """错误的是D, where the question asks for what is wrong."""
    match = _WRONG_ONES.search(text) or _NOT_THIS.search(text) or _CONCLUDED_NOT.search(text)
    if not match:
        return None
    named = "".join(sorted(set(re.findall(r"[A-J]", match[1]))))
    return (
        Found(named, "named_wrong")
        if set(named) <= set(known.letters) and (len(named) == 1 or known.multiple)
        else None
    )


def _all_or_none(text: str, known: Options, negative: bool) -> Found | None:
    line = text.strip().partition("\n")[0]
    last = _CONNECTIVE.sub("", re.split(r"[。;,\n]", text.strip().rstrip("。;,"))[-1])
    heads = [head for head in (squeeze(line), squeeze(PREFIX.sub("", line)), squeeze(last)) if len(head) <= 40]
    if known.multiple and re.fullmatch("(?:以上|这)?(?:[二三四五六七八][项个])?[全都]选", squeeze(last)):
        return Found(known.letters, "all_of_them")
    for pattern, rule in ((NONE_OF_THEM, "none_of_them"), (ALL_OF_THEM, "all_of_them")):
        if not any(pattern.match(head) for head in heads):
            continue
        if rule == "all_of_them" and _NOT_ALL.search(line):
            return None
        letter = known.special(pattern)
        if letter is not None:
            return Found(letter, rule)
        counted = next((match[1] for head in heads if (match := _COUNT.match(head))), None)
        if counted and "一二三四五六七八".index(counted) + 1 != len(known.letters):
            return None
        if negative and any(re.search("对|正确|符合|属于|准确", head) for head in heads):
            return None
        if known.multiple and rule == "all_of_them":
            return Found(known.letters, rule)
        return None
    return None
