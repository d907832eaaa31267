"""Attempts to turn the model against its instructions (prompt injection, jailbreak), by family, Chinese and English.

Precision comes first: a customer who says 忽略我之前的要求, or asks how to open his telephone's developer mode, is no
attacker. Patterns look at what `folding.bare` leaves: no spaces, no disguise, `|` for punctuation; gaps are bounded,
so that the time is linear in the text.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

from serving.guard.folding import bare, hidden, visible

Family = Literal[
    "override", "prompt_leak", "role_play", "encoded", "delimiter", "exfiltration", "indirect", "authority"
]

_NEAR = r"[^|]"
# What a model is told, which no customer has a word for. 要求 and 规则 alone are what customers speak of, too.
_ORDERS = (
    r"(?:系统)?(?:提示词|指令|指示|设定|预设|人设|初始化?(?:指令|设置|设定)|系统(?:提示|设置|规则|消息|要求|约束)|prompt"
    r"|安全(?:限制|规则|策略|准则|约束|协议)|内容(?:限制|政策|审查|过滤)|角色(?:设定|限制)|约束条件|行为准则|合规(?:限制|要求|约束))"
)
_RULES = rf"(?:{_ORDERS}|规则|限制|约束|规范|命令|训练)"
_BEFORE = (
    r"(?:以上|上面|上述|之前|先前|前面|此前|原来|原先|原有|所有|全部|一切|任何|你的|你被?(?:设定|赋予|给定)的?"
    r"|系统|开发者)"
)
_FORGET = (
    r"忽略|忽视|无视|忘记|忘掉|忘了|抛弃|抛开|丢弃|撇开|清空|覆盖|推翻|跳出|绕过|绕开|突破|不遵守|不要遵守|不再遵守|停止遵守|不用遵守"
    r"|无需遵守|不必遵守|摆脱|不再受|别管|不要管|不用管"
)
# A customer may want limits lifted (取消所有限制); only what a model is told is not his to lift.
_DROP = rf"(?:{_FORGET}|放弃|清除|删除|作废|解除|取消|关闭|停用|违反|不受)"
_SHOW = (
    r"(?:输出|打印|显示|展示|重复|复述|背诵|背出|告诉我|说出|说一?下|列出|写出|给我看?|发给我|透露|泄露|公开|翻译|总结|概括|返回|念出?"
    r"|贴出|复制|讲出|转述|还原|交代|描述|解释)"
)
_FREE = (
    r"(?:没有任何|没有|不受任何|不受|无任何|无|毫无|不存在|摆脱|突破|解除|不再受|无视)(?:任何|一切|所有)?"
    r"(?:道德|法律|伦理|内容|安全|政策|规则|规定|审查)?(?:和|与|及|或)?(?:道德|法律|伦理|安全|规则)?(?:限制|约束|束缚|审查|过滤|底线|顾忌|规则|枷锁)"
)
_MODEL = r"(?:ai|人工智能|助手|助理|机器人|模型|智能体|gpt|chatgpt|系统|角色|程序)"
_E_DROP = (
    r"(?:ignore|disregard|forget|override|bypass|overwrite|discard|dismiss|neglect|donotfollow|dontfollow|dontobey"
    r"|stopfollowing|disobey|setaside|throwaway|erase|cancel)"
)
_E_ORDERS = (
    r"(?:instructions?|prompts?|directives?|guidelines?|rules?|commands?|constraints?|restrictions?|policies|policy"
    r"|programming|training|guardrails?|safetymeasures|filters?|context)"
)
_E_BEFORE = (
    r"(?:all|any|every|the|your|these|those|of|my|our|previous|prior|above|earlier|preceding|foregoing|initial|original"
    r"|existing|system|safety|content|developer|given|and|other|that|were|you|have|been|told|former|current|openai)"
)
_E_SHOW = (
    r"(?:show|print|reveal|repeat|output|display|tell|give|share|leak|dump|write|list|disclose|return|echo|recite|send"
    r"|paste|copy|summari[sz]e|translate|whatis|whatare|whatwere|whats)"
)

_PATTERNS: dict[Family, tuple[str, ...]] = {
    "override": (
        rf"{_DROP}(?:掉|了|你|所有|全部|一切|的|和|与|任何|{_BEFORE}){{0,6}}{_ORDERS}",
        rf"(?:{_FORGET})(?:掉|了)?(?:{_BEFORE}|的|和|一切|给你|跟你说|对你){{1,6}}{_RULES}",
        rf"(?:忽略|忽视|无视|抛开|绕过)(?:{_BEFORE}|的){{1,4}}规定",
        rf"(?:解除|取消|关闭|停用|删除)(?:掉|了)?你的(?:所有|全部|一切|的){{0,3}}{_RULES}",
        rf"(?:把|将)?(?:{_BEFORE}|的){{1,6}}{_RULES}(?:都|全部?|统统|一律)?(?:忘掉|忘记|忘了|忽略|清空|删除|作废|抛弃|无视|覆盖)",
        rf"(?:从现在起|从现在开始|现在开始|接下来|从此刻起){_NEAR}{{0,8}}(?:你)?(?:不再是|不必再?遵守|不用再?遵守|不受|只听我的|只服从|必须听我|必须服从我|按我的新?(?:指令|规则))",
        r"(?:新的|最新|更新后的?)(?:系统)?(?:指令|提示词|系统提示)(?:是|如下|为|生效|\|)",
        rf"(?:系统|最高|管理员)(?:优先级)?(?:指令|命令|覆盖)(?:\||是|覆盖){_NEAR}{{0,12}}(?:忽略|停止|关闭|解除|输出|执行)",
        rf"{_E_DROP}(?:{_E_BEFORE}){{1,8}}{_E_ORDERS}",
        rf"{_E_DROP}(?:everything|whatever|anything|all)(?:you(?:were|have|ve|are)?(?:been)?told|above|before|thatcamebefore|previously)",
        r"(?:newinstructions?|systemoverride|newsystemprompt)(?:\||are|is|follow|youmust|from)",
        rf"(?:fromnowon|startingnow){_NEAR}{{0,24}}(?:youare(?:no|nolonger|free|unrestricted|not)|ignore|obeyonlyme|onlyobey|youwillnot(?:follow|refuse))",
        rf"(?:nolonger|not|arent)bound(?:by)?(?:{_E_BEFORE}){{0,5}}{_E_ORDERS}",
    ),
    "prompt_leak": (
        rf"{_SHOW}(?:一?遍|一?下|出来?|你|您|你们|自己|的|完整|全部|所有|原始|初始|最初|最开始|真实|内部|隐藏|后台|被?(?:设定|设置|赋予|给定)|收到|整个|上面|上述|之前|第一条|逐字|一字不差|原封不动|地){{0,8}}"
        r"(?:系统(?:提示词|提示语|指令|设定|消息|prompt|提示(?=原文|全文|内容|\||$))|提示词|初始(?:指令|提示|设定)|隐藏(?:指令|规则|提示)|内部指令|后台指令|预设(?:指令|提示)|角色设定|systemprompt|prompt(?!支付)|开发者消息)",
        r"(?:你|您|你们)的?(?:系统|初始|原始|完整|隐藏|内部|后台|底层)?(?:提示词|系统提示(?!我|您|你|余额|失败|错误|说|不)|systemprompt|prompt|初始指令|系统指令|预设指令|隐藏指令|系统设定|角色设定|人设)(?:是|有|写|内容|原文|全文|包括|包含|给|发|怎么写|\||$)",
        r"(?:把|将)(?:你|您|你们)?的?(?:完整|全部|所有|系统|初始|原始)?的?(?:提示词|系统提示词?|系统指令|初始指令|指令|设定|prompt)(?:完整|全部|都|原样|逐字|一字不差|原封不动|地)*(?:发|给|告诉|输出|打印|写|复述|重复|显示|念|贴|翻译|说)",
        rf"(?:逐字|一字不差|一字不漏|原封不动|原样|完整地?){_NEAR}{{0,6}}(?:输出|重复|复述|打印|背诵|复制|写出){_NEAR}{{0,8}}(?:以上|上面|上述|之前|对话开始前|开头|第一句|这句话之前)(?!的?(?:条款|合同|账单|还款))",
        rf"(?:重复|输出|复述|打印){_NEAR}{{0,10}}(?:以上|上面|之前|上述|这句话之前|这条消息之前|我这句话之前|对话开始)(?:所有|全部|一切|的){{1,4}}(?:文字|文本|内容|字符|单词|话)(?:放在代码块|逐字|从你是|以你是|开头是你是|放进代码块|不要改动|一字不)",
        r"(?:你被|你是怎么被|给你)(?:设定|设置|预设|灌输|下达)(?:了|的)?(?:什么|哪些|怎样|的)(?:指令|规则|提示|设定|限制|要求)",
        rf"{_E_SHOW}(?:me|us|out|the|your|you|full|entire|complete|whole|exact|verbatim|original|initial|hidden|secret|internal|system|developer|all|of|current|confidential|first|raw){{0,9}}(?:systemprompt|systemmessage|systeminstructions?|initialprompt|initialinstructions?|hiddeninstructions?|hiddenprompt|secretinstructions?|developermessage|developerprompt|preprompt|originalinstructions?|promptverbatim)",
        rf"{_E_SHOW}(?:me|us|out|the|exact|full|entire|all|of){{0,6}}your(?:full|entire|exact|original|initial|system|hidden|secret|internal|own|complete)*(?:prompt|instructions|directives|guidelines|configuration)",
        r"(?:repeat|print|output|copy|return)(?:back)?(?:all|everything|the|words|text|of|exact|whole|entire|full|content|contents|conversation|verbatim){1,8}above",
        rf"(?:youareachatgpt|youarean?ai){_NEAR}{{0,30}}(?:codeblock|verbatim|wordforword)",
    ),
    "role_play": (
        rf"(?:扮演|假装|装作|充当|模拟|变成|成为|你现在是|你就是|你将是|你是|切换成|化身){_NEAR}{{0,24}}{_FREE}",
        rf"{_FREE}的?{_NEAR}{{0,6}}{_MODEL}",
        r"(?:你|请|现在|立即|立刻|马上)(?:已经|将|要|可以|来|给我|帮我)?(?:进入|切换到?|切换为|启用|开启|激活|打开|处于|变成)(?:了)?(?:越狱|dan|jailbreak|开发者|developer|上帝|god|无限制|无审查|不受限|调试|debug|维护|sudo|超级管理员|邪恶|暗黑)(?:者)?(?:模式|状态|mode|人格)",
        r"(?:进入|切换到?|启用|开启|激活)(?:越狱|dan|jailbreak|无限制|无审查|上帝|不受限制)(?:模式|状态|人格|mode)",
        r"(?:越狱|jailbreak)(?:模式|成功|提示词|prompt|这个模型|你自己|chatgpt|ai)",
        r"(?:扮演|假装|装作|充当|你现在是|你是)我?(?:已故|去世|过世|死去)?的?(?:奶奶|外婆|祖母|姥姥)[^|]{0,20}(?:序列号|激活码|密码|配方|密钥|哄我睡|念)",
        r"(?:doanythingnow|youarenowdan|actasdan|dan(?:mode|prompt)|youaredan|stayincharacterasdan|stayadan)",
        r"(?:enable|enter|activate|switchto|turnon|youarein|youarenowin|simulate)(?:the|your)?(?:developer|dev|debug|god|jailbreak|unrestricted|unfiltered|dan|sudo|evil|admin|maintenance)mode",
        r"(?:pretend|act|roleplay|behave|respond|imagine|simulate|youare|youwillbe|become|playtherole)(?:now)?[^|]{0,40}(?:without|withno|hasno|havingno|freeof|freefrom|notboundby|no)(?:any|all|ethical|moral|content|safety|and|or|the|legal){0,4}(?:restrictions?|limitations?|limits|filters?|guidelines|rules|ethics|morals|censorship|constraints?|boundaries)",
        r"(?:unrestricted|unfiltered|uncensored|amoral|jailbroken)(?:and|un\w{4,10})*(?:ai|assistant|chatbot|model|llm|gpt|version)",
        r"(?:假设|想象|设想)[^|]{0,12}(?:不受|没有)[^|]{0,6}(?:限制|约束|审查|规则)[^|]{0,4}(?:的)?(?:ai|助手|模型|世界|你)",
    ),
    "exfiltration": (
        r"(?:列出|输出|打印|导出|显示|展示|告诉我|发给我|给我看?|查询|查看|返回|泄露|提供|下载|dump)(?:一下|一份|出来?)?(?:你们|你|贵公司|公司|平台|系统|数据库|后台|里|中|的|所有|全部|全体|其他|其它|别的|另外|任意|几个|\d+个|上一个|前一个|一些){1,8}(?:客户|用户|借款人|会员|债务人|欠款人)的?(?:真实)?(?:手机|电话|身份证|姓名|信息|资料|数据|名单|住址|地址|银行卡|征信|欠款|记录|隐私|账户)",
        r"(?:其他|其它|别的|上一个|前一个|另一个|所有|全部)(?:客户|用户|借款人)的?(?:手机号?码?|电话|身份证号?码?|姓名|住址|银行卡号?|个人信息|对话|聊天记录|资料)(?:是什么|是多少|有哪些|给我|发我|发给我|列出来|告诉我|都?导出|念一?下)",
        r"(?:导出|输出|打印|列出|dump|泄露|显示|给我|发给我)(?:你|你们|系统|公司|后台|整个|全部|所有|的){0,6}(?:数据库|训练数据|训练语料|用户表|客户表|环境变量|api密钥|apikey|密钥|secretkey|access(?:key|token)|配置文件|源代码)",
        r"(?:list|show|dump|export|give|print|reveal|send)(?:me|us|out)?(?:all|the|every|of|your|other|another|any){1,5}(?:customers?|users?|clients?|borrowers?)(?:s)?(?:data|records?|phone|names?|information|details|idnumbers?|numbers?|accounts?|personal)",
        r"(?:dump|print|show|reveal|leak|export|output)(?:me|the|your|all|of|entire|whole|full){0,6}(?:database|trainingdata|environmentvariables|envvars|apikeys?|secretkeys?|credentials|usertable)",
    ),
    "authority": (
        r"我是(?:你们?的|这个系统的|系统|本系统)?(?:开发者|开发人员|创造者|创建者|超级管理员|系统管理员|root用户|运维|算法工程师|训练师|主人)[^|]{0,4}(?:\||$|现在|要求|命令|授权|需要你)",
        r"(?:管理员|开发者|root|sudo|最高)(?:权限|授权码|口令|密码|命令|身份)[^|]{0,6}(?:\||已?(?:验证|通过|激活|生效)|是|为)[^|]{0,20}(?:执行|输出|解除|关闭|服从|听从|照做)",
        r"(?:iam|im)(?:your|the|a)(?:developer|creator|administrator|admin|engineer|owner|openaiemployee)",
    ),
}
_INDIRECT = (
    r"(?:ai|人工智能|智能|大模型|语言|本)(?:助手|助理|客服|模型|智能体)[^|]{0,6}(?:\||请|必须|应当|应该|需要|务必|立即|看到|读到|收到)[^|]{0,16}(?:忽略|回复|告诉|转账|调用|执行|输出|发送|透露|不要|删除|服从|遵循|隐瞒)",
    r"(?:如果你是|致|给|写给|对)(?:一个)?(?:ai|人工智能|大模型|语言模型|llm)(?:助手|模型|助理|智能体)?(?:\||的|请|阅读|看到|正在)",
    r"(?:assistant|ai|llm|model|chatbot|agent)(?:please|must|should|shall|youmust|readingthis|isrequiredto|isinstructedto|instructions?)[^|]{0,40}(?:ignore|reply|tell|send|call|execute|output|reveal|donot|dont|delete|transfer|forward|say)",
    r"(?:donot|dont|never)(?:tell|inform|mention|reveal|notify)(?:this|it|anything)?(?:to)?(?:the)?user",
    r"(?:ifyouare|note(?:to)?|attention|message(?:to|for)|instructions?for)(?:an?|the)?(?:ai|llm|languagemodel|assistant|chatbot)",
)
# The same in what a customer sends: a text that tells whoever reads it by machine what to do, or to keep it quiet.
_PLANTED = (
    r"(?:读取|阅读|处理|看到|读到|收到)(?:此|本|这|该)[^|]{0,8}(?:ai|模型|助手|机器人|智能体|系统)[^|]{0,6}(?:请|须|应|必须|务必|直接)",
    r"(?:ai|模型|机器人|助手)(?:看到|读到|阅读|读取|收到)(?:此|本|这|该|后)[^|]{0,10}(?:请|须|应|必须|务必|直接|将|把)",
    r"(?:请|让)(?:ai|模型|机器人|助手|系统)(?:阅读|读取|看到|自动)[^|]{0,10}(?:标记|批准|通过|评级|改为|销账|免除|放款)",
    r"(?:ai|模型|机器人|助手)(?:应|须|必须|务必|请)[^|]{0,4}(?:立即|直接|将|把|向)[^|]{0,24}(?:标记|批准|评级|索要|索取|写入|附上|隐瞒|结清|改为)",
    r"(?:^|\|)(?:致|给|写给)(?:ai|大模型|模型|机器人)(?:的话|的备注|的指示)?(?:\||请)",
    r"(?:noteto|noteforthe|notefor|messagetothe|messageto|attention)(?:the)?(?:ai|llm|model|assistant)",
)
_DECODE_AND_DO = (
    r"(?:解码|解开|解出来|译出来|译好|解密|破译|转成(?:字母|文字|中文)|翻成(?:文字|中文)|翻译(?:一下|出来)?|读懂|看懂|连起来|拼(?:好|出来|起来))"
    r"[^|]{0,8}\|?(?:后|了|再|就|然后|并|以后|之后)?(?:就|再)?(?:照(?:着)?(?:做|办)|执行|遵照|按(?:它|意思|内容|它说的|解码的意思)[^|]{0,4}(?:做|办|执行))"
)
_DELIMITERS = re.compile(
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|end_header_id|eot_id|end|tool)\|>"
    r"|\[/?INST\]|<</?SYS>>|</?s>\s*\[|<(?:start|end)_of_turn>|<｜(?:User|Assistant|begin▁of▁sentence)｜>|\[(?:gMASK|SYSTEM)\]"
    r"|<\|(?:START|END)_OF_TURN_TOKEN\|>|</?(?:system|system_prompt|systemprompt|system-prompt)>"
    r"|^\s{0,8}(?:#{1,6}\s{0,4}|\*{2}|-{3,8}\s{0,4})(?:system|系统)(?:\s{0,2}(?:prompt|message|instructions?|提示词?|指令|消息))?\s{0,2}(?:\*{2})?\s{0,2}[:：]?\s{0,4}$"
    r"|[\"'](?:role|角色)[\"']\s{0,4}:\s{0,4}[\"'](?:system|developer)[\"']"
    r"|^\s{0,8}(?:system|developer|系统)\s{0,4}[:：]\s{0,4}(?:you\b|ignore|new\b|override|your\b|disregard|你现在|你是|忽略|从现在|新的指令)"
    r"|(?:end|begin|start)\s{1,4}of\s{1,4}(?:the\s{1,4})?(?:system\s{1,4}prompt|user\s{1,4}input|instructions)",
    re.IGNORECASE | re.MULTILINE,
)
_PATTERNS["override"] += _PLANTED
_PATTERNS["encoded"] = (_DECODE_AND_DO,)
_COMPILED: Final = {family: re.compile("|".join(patterns)) for family, patterns in _PATTERNS.items()}
_ADDRESSED: Final = re.compile("|".join(_INDIRECT))
PATTERNS_SHA256: Final = hashlib.sha256(
    "\n".join(pattern.pattern for pattern in (*_COMPILED.values(), _ADDRESSED, _DELIMITERS)).encode()
).hexdigest()
# Only texts that hold one of these are worth the patterns.
_CUE: Final = re.compile(
    r"解|译|读懂|看懂|连起来|拼|指令|指示|提示|设定|预设|人设|限制|约束|规则|规定|规范|要求|命令|训练|审查|过滤|底线|枷锁|准则|模式|越狱|人格|扮演|假装|奶奶|外婆|祖母|姥姥|以上|上面|之前|上述|开头"
    r"|其[他它]|别的|所有|全部|数据库|密钥|变量|代码|管理员|开发|root|sudo|主人|创造者|训练师|运维|工程师|ai|助手|模型|llm"
    r"|prompt|instruct|ignore|disregard|forget|override|bypass|system|mode|dan|unrestricted|unfiltered|uncensored|above|without|withno|rules|told|bound|database|customer|user|client|borrower|key|credential|developer|admin|creator"
)


def families(text: str, *, tool: bool = False) -> tuple[Family, ...]:
    """The families that `text` belongs to, the most telling first; empty for ordinary text. Linear in the text.

    Args:
        tool: the text is a tool's result, which should address nobody.
    """
    found: list[Family] = ["delimiter"] if _DELIMITERS.search(visible(text)) else []
    found += _plain(text, tool)
    if not found and any(_plain(secret, tool) or _DELIMITERS.search(secret) for secret in hidden(text) if secret):
        found.append("encoded")
    return tuple(found)


def _plain(text: str, tool: bool) -> list[Family]:
    said = bare(text)
    if not _CUE.search(said):
        return []
    found = [family for family, pattern in _COMPILED.items() if pattern.search(said)]
    return [*found, "indirect"] if tool and _ADDRESSED.search(said) else found
