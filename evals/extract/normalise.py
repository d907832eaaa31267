"""The form in which outputs are read: widths, look-alikes and decoration folded, thoughts cut."""

from __future__ import annotations

import functools
import re
import unicodedata

# Traditional forms of characters that are frequent in financial exams; both sides of every comparison are folded.
_TRADITIONAL = str.maketrans(
    "資險業爲產計項對國價務會個發時關經應費證額稅選風動債權萬現場貨銀數內財確機過單規與據並該實種構當擇稱間後"
    "將報來體題標級從長營醫購類銷變這貸組責預濟準療戶請約屬開員結設則幣給買無轉麼較監審總續師際電淨備賬聯門調"
    "點條認損們採負問賠獲潤擔運職車納評導議還處減響範償專質劃診義億斷錯術說東誤別記優統線達協託冊兩匯觀適圍復"
    "積勢漲區餘徵換沒測強執樣戰賣滿創極慮狀繳須穩辦爭績學領讓論夥傷態終補藥參礎環織檢網華顯獨護書違詢異勞繼視"
    "層競嚴倉團臺節佔歸籤蹤紅訂儲陳帶識臨傳廣試驗見階離雙夠維頭張隨養釋腫黃塊綜壽趨訴氣細錄庫虧廠惡許歷連輛錢"
    "貼裝僅貿擴嗎噸盤壓遊農邊罰輸擬衝紀擁籌遠編載號兌針輕裏賃蓋絕顧諮衆殘贖歐歲爾牀腦憑縮盡訊簡舊暫筆難諾圖鍵"
    "幾脈紹聲緊興兒虛脹舉話幹訟軟順遞檔滬龍寶亞熱恆攤馬驟潛絡薦礦願壟頻閉彈贈軍遺勵輪鏈緩談幫訓災寫鑑槓賴讀獎"
    "尋屆髒靈衛羣腎齡壞誠碼貴隊寬擊飛傾聞雲喪礙戲鋰謹啓輔徑樂掛紙傭豐築樓雜滯蘇羅譽煙蘭訪鐵隱駕詐堅溝揮語漸討"
    "騙僱劑豬飲溫獻純妝貝貢雖糾習紛郵靜駛親側綠躍崗彌詳祕陽賽閒寧遲廢縱劉鎮敗勝葉烏劇撥藍覺貶驅剛賺陸觸蘋膠縣"
    "聽凱園遷飾櫃鹽黨橫鎖麥卻棄趙倫愛紐閱蕩謝島藝陣灣篩峯畢螞蟻踐詞講銅韓頸猶疊賦鋼腸鄭糧孫慶誰凍畫駐僞敘潔懷"
    "贏辭墊轄辯鍾鵬脅課饋萊禮纖謀狹宮寵濫跡鎊齊緒鏡頓麗慣揚樹鈉楊奧疇誘賓轎撐榮殺頂檻襲顱儀歡頒懲邁燒貧厭溼練"
    "貫擾館覽鄉頁毀漢諸傑憂攝欄鑽脫輯吳軌鮮偉滅繞茲騰婦邏鈷鬥囑搶盜瞞贊娛貓鈔鴨廳徹癡癱聖躉輝闡謂贍鄰鋒亂瘓鋪"
    "擠滲稟軸塗夢奪橋膚鴻膽侖暢竊誇壇攬漿絲釐陰魯賄雞牆紋締繪瓊籃錫黴嘗圓氫滾潰蕪鉤騎丟樞鋁錦剝拋攜曉爐穎鈴顆"
    "嶽帳瀉綱夾鈣飄勸搖禍緣鈦勁勻壘嬰晉棟瘍飽鹼暉紡矯艙賭魚悅煉牽薩鮑唄掃濤煩綸貪賒齒憲籲蕭閃鷹刪劍畝膿謠遜鑄"
    "啞澤瘡緯艦譴鋅驚為於",
    "资险业为产计项对国价务会个发时关经应费证额税选风动债权万现场货银数内财确机过单规与据并该实种构当择称间后"
    "将报来体题标级从长营医购类销变这贷组责预济准疗户请约属开员结设则币给买无转么较监审总续师际电净备账联门调"
    "点条认损们采负问赔获润担运职车纳评导议还处减响范偿专质划诊义亿断错术说东误别记优统线达协托册两汇观适围复"
    "积势涨区余征换没测强执样战卖满创极虑状缴须稳办争绩学领让论伙伤态终补药参础环织检网华显独护书违询异劳继视"
    "层竞严仓团台节占归签踪红订储陈带识临传广试验见阶离双够维头张随养释肿黄块综寿趋诉气细录库亏厂恶许历连辆钱"
    "贴装仅贸扩吗吨盘压游农边罚输拟冲纪拥筹远编载号兑针轻里赁盖绝顾咨众残赎欧岁尔床脑凭缩尽讯简旧暂笔难诺图键"
    "几脉绍声紧兴儿虚胀举话干讼软顺递档沪龙宝亚热恒摊马骤潜络荐矿愿垄频闭弹赠军遗励轮链缓谈帮训灾写鉴杠赖读奖"
    "寻届脏灵卫群肾龄坏诚码贵队宽击飞倾闻云丧碍戏锂谨启辅径乐挂纸佣丰筑楼杂滞苏罗誉烟兰访铁隐驾诈坚沟挥语渐讨"
    "骗雇剂猪饮温献纯妆贝贡虽纠习纷邮静驶亲侧绿跃岗弥详秘阳赛闲宁迟废纵刘镇败胜叶乌剧拨蓝觉贬驱刚赚陆触苹胶县"
    "听凯园迁饰柜盐党横锁麦却弃赵伦爱纽阅荡谢岛艺阵湾筛峰毕蚂蚁践词讲铜韩颈犹叠赋钢肠郑粮孙庆谁冻画驻伪叙洁怀"
    "赢辞垫辖辩钟鹏胁课馈莱礼纤谋狭宫宠滥迹镑齐绪镜顿丽惯扬树钠杨奥畴诱宾轿撑荣杀顶槛袭颅仪欢颁惩迈烧贫厌湿练"
    "贯扰馆览乡页毁汉诸杰忧摄栏钻脱辑吴轨鲜伟灭绕兹腾妇逻钴斗嘱抢盗瞒赞娱猫钞鸭厅彻痴瘫圣趸辉阐谓赡邻锋乱痪铺"
    "挤渗禀轴涂梦夺桥肤鸿胆仑畅窃夸坛揽浆丝厘阴鲁贿鸡墙纹缔绘琼篮锡霉尝圆氢滚溃芜钩骑丢枢铝锦剥抛携晓炉颖铃颗"
    "岳帐泻纲夹钙飘劝摇祸缘钛劲匀垒婴晋栋疡饱碱晖纺矫舱赌鱼悦炼牵萨鲍呗扫涛烦纶贪赊齿宪吁萧闪鹰删剑亩脓谣逊铸"
    "哑泽疮纬舰谴锌惊为于",
)
_LOOKALIKE = str.maketrans("АВСЕΑΒΕ", "ABCEABE")  # Cyrillic and Greek
_SPECIAL = {0x1F170 + n: chr(ord("A") + n) for n in range(26)}
_SPECIAL |= {0x3014: "【", 0x3015: "】", 0x3016: "【", 0x3017: "】"}
_SPECIAL |= dict.fromkeys((0x2715, 0x2573), "×")
_SPECIAL |= {0x2460 + n: f"({n + 1})" for n in range(20)}
_SPECIAL |= {0x2160 + n: f"罗{n % 16 + 1}" for n in range(32)}  # NFKC would turn Ⅰ into the letter I
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufe0f\u00ad\u20e3]")
_TAG_THOUGHT = re.compile(r"<(think|thinking|reasoning|thought)>.*?</\1>", re.S | re.I)
_THOUGHT_END = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.I)
_THOUGHT_START = re.compile(r"<(?:think|thinking|reasoning|thought)>", re.I)
_LATEX_WORD = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf|operatorname|rm|bf)\s*\{([^{}]*)\}")
_BOXED = re.compile(r"\\?(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_BRACES = re.compile(r"[{}]|\\(?=[$%#&])")
_STRUCK = re.compile(r"~~[^~\n]+~~|<(del|s)>.*?</\1>", re.I)
_TAGS = re.compile(r"</?(?:b|i|u|p|br|em|strong|span|div|font|li|ul|ol|h[1-6])(?:\s[^<>]*)?/?>|&nbsp;")
_ANSWER_TAG = re.compile(
    r"<(answer|ans|final|final_answer|option|choice|result|response|output|judge|judgement|verdict|pred|label|答案)>\s*(.*?)\s*(?:</\1>|$)",
    re.S | re.I,
)
_BOX_TOKENS = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|$)", re.S)
# \times between numbers multiplies; alone it is a cross.
_LATEX_CROSS = re.compile(r"(?<![\w)}%])(\s*)\\times(?![A-Za-z])(?!\s*(?:[\w({]|\\[A-Za-z]))")
_LATEX_TICK = re.compile(r"\\(?:checkmark|surd)(?![A-Za-z])")
_CHECKED, _UNCHECKED = re.compile(r"\[\s*[xX√✓✔]\s*\]"), re.compile(r"\[\s*\]|□")
_TURN_START = re.compile(
    r"^\s*<\|(?:im_start|start_header_id|assistant)\|>\s*(?:assistant)?\s*(?:<\|end_header_id\|>)?\s*", re.I
)
_SPEAKER = re.compile(r"^\s*(?:AI|助手|助理|[Aa]ssistant|[Bb]ot)\s*[:\n]\s*")
_FENCE = re.compile(r"```[a-zA-Z]*")
_DECORATION = re.compile(
    r"[*`]+|~~+|__+|(?<![A-Za-z0-9_])_(?=[^\s_])|(?<=[^\s_])_(?![A-Za-z0-9_])|\\[()\[\]]|\$+|^[ \t]*>+", re.M
)
_HEADING = re.compile(r"^[ \t]*#{1,6}(?=[ \t]*[^#\s])", re.M)
_RULED = re.compile(r"^[ \t|:+-]{3,}$", re.M)
# What chat models close a turn with, or open the next one with: tokens that were left in the text.
_END_OF_TURN = re.compile(
    r"<\|(?:user|human|assistant|system|observation|im_|eo[a-z]|end|start_header_id|return|pad)[^|\n]{0,24}\|>|"
    r"</s>|</?(?:eo[acdhmpst]|(?:end|start)_of_turn|end_of_utterance|pad)>|"
    r"<(?:reserved|unused|extra_id)_?\d+>|<TOKENS_UNUSED_\d+>|"
    r"\[(?:UNUSED_TOKEN_\d+|unused\d+|EOS|SEP|PAD|/?INST|eo[a-z])\]",
    re.I,
)
_OPENING = re.compile(
    r"^\s*(?:<s>|<bos>|<sop>|<\|begin.?of.?(?:text|sentence)\|>|<\|startoftext\|>|\[/INST\]|\[gMASK\](?:\s*<?sop>?)?|"
    r"<start_of_turn>\s*model\b)+",
    re.I,
)
_FINAL_CHANNEL = "<|channel|>final<|message|>"
FINAL_MARK = "\x01"  # stands where a form marks the final answer by itself: \boxed{}, <answer>, ####

_RANGE = re.compile(r"(?<=\d)\s*(?:至|到|~|—|–|-)\s*(?=\d)")
_MARKS = re.compile(
    r"[\s,;:!?'\"()\[\]{}<>|\\—–_。、“”‘’【】《》「」『』…·^*`$]+|(?<!\d)~|"
    r"~(?!\d)|(?<!\d)[./]+|[./]+(?!\d)|-(?!\d)"
)


def strip_thought(text: str) -> str | None:
    """What stands after the reasoning; None when the output ended inside it."""
    text = _TAG_THOUGHT.sub("", text.replace("◁", "<").replace("▷", ">"))
    if "<|channel|>" in text:
        return text.rpartition(_FINAL_CHANNEL)[2] if _FINAL_CHANNEL in text else None
    ends = list(_THOUGHT_END.finditer(text))
    if ends:  # some chat templates open the block in the prompt
        text = text[ends[-1].end() :]
    return None if _THOUGHT_START.search(text) else text


def fold(text: str) -> str:
    """One width, one script, no invisible characters: what both outputs and options are compared in."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", text.translate(_SPECIAL))
    return unicodedata.normalize("NFKC", text).translate(_TRADITIONAL).translate(_LOOKALIKE)


_CANTONESE = {
    "揀": "选",
    "唔系": "不是",
    "唔啱": "不对",
    "唔正确": "不正确",
    "唔选": "不选",
    "拣": "选",
    "冇错": "没错",
    "啱": "对",
}
_SPOKEN = re.compile("|".join(_CANTONESE))
_SMALL_LIST = re.compile(r"(?<![A-Za-z])([a-j])((?:\s*,\s*[a-j])*)\s*,?\s+and\s+([a-j])(?![A-Za-z])")


def closed_turn(text: str) -> str:
    """`text` up to the mark that closes the turn; all of it where none stands behind an answer."""
    end = _END_OF_TURN.search(text.replace("｜", "|"))
    return text[: end.start()] if end and text[: end.start()].strip() else text


def ends_turn(text: str) -> bool:
    """Whether a raw output closes its turn, so that it says all it has to say even if it was cut off behind."""
    opened = _opened(fold(text))
    return closed_turn(opened) != opened


def _opened(text: str) -> str:
    return _SPEAKER.sub("", _TURN_START.sub("", _OPENING.sub("", text)))


def plain(text: str) -> str:
    """Folded text without markdown, with `FINAL_MARK` before what a form marks as the final answer."""
    text = _opened(fold(text))
    if "_of_box" in text:
        text = _BOX_TOKENS.sub(rf"{FINAL_MARK}\1 ", text)
    text = _TAGS.sub("", _STRUCK.sub("", closed_turn(text)))
    text = _CHECKED.sub("☑", _UNCHECKED.sub("☐", text))
    if "\\" in text or "boxed" in text:
        text = _LATEX_TICK.sub("√", _LATEX_CROSS.sub(r"\1×", re.sub(r"\\[,;:! ]", " ", text.replace("{,}", ","))))
        text = _LATEX_WORD.sub(r"\1", _LATEX_WORD.sub(r"\1", text))
        text = _BOXED.sub(lambda box: f"{FINAL_MARK}{_without_braces(box[1])} ", text)
    for _ in range(2 if "<" in text else 0):  # <result><choice>A</choice></result>
        text = _ANSWER_TAG.sub(rf"{FINAL_MARK}\2 ", text)
    text = re.sub(r"^[ \t]*####[ \t]*(?=[A-Za-z、, ]{1,20}$)", FINAL_MARK, text, flags=re.M)
    text = re.sub(r"(选|答|正)[ \t]+(项|案|确)", r"\1\2", text)
    text = _SPOKEN.sub(lambda word: _CANTONESE[word[0]], text)
    text = _SMALL_LIST.sub(lambda match: match[0].replace("and", ",").upper(), text)  # a, c and d
    text = _RULED.sub("", _DECORATION.sub("", _HEADING.sub("", _FENCE.sub("", text))))
    return text.replace("|", " ").strip()


def _without_braces(boxed: str) -> str:
    """C. $240,000 for C. \\$240{,}000; a formula keeps its form, lest its parts be read as one number."""
    return boxed if re.search(r"\\[A-Za-z]", boxed) else _BRACES.sub("", boxed)


@functools.lru_cache(maxsize=8192)
def squeeze(text: str) -> str:
    """Folded, lower case, without spaces and marks: the form in which an option's text is compared."""
    return _RANGE.sub("~", _MARKS.sub("", _RANGE.sub("~", fold(text).lower())))
