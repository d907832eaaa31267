"""Surnames, and words that only look like names. Written for this project from 百家姓 and from everyday use.

The three sets of single characters share none: each surname is common, rare or ambiguous.
"""

from __future__ import annotations

from importlib import resources

# Borne by most people and hardly ever the beginning of another word: a greeting in front is enough.
SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚"
    "卢姜崔钟谭陆汪范石廖贾韦夏付邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵钱严覃武戴莫孔汤温康施牛樊葛"
    "邢齐路庄章季俞庞倪申聂焦岳耿柳殷詹卓穆翁甄欧柯阮阎涂骆伍祝甘冉窦褚梅辛管游简褟蓝芦翟费岑冼凌霍虞"
)
# Borne by few, and hardly ever the beginning of a word.
RARE = frozenset(
    "蒲晏纪屈祁芮隋佟栾苟寇仇柏鞠郁仲邝缪蔺阚靳邬裘靖芈滕郗邴隗湛璩濮扈邰郜郇鄢邸郯闵娄臧佘佴奚裴戚巩敖翦卞卜"
    "厉柴桓晁咎逄逯冀闾鄂仝亓厍苌亢瞿宓糜匡嵇嵩昝胥储苑屠鲍荀惠汲巫仉宦艾鄞巢訾辜郦雍浦郎韶蓟邑茹"
)
# Everyday words or the beginnings of many: they count only where the words in front leave no doubt.
AMBIGUOUS = frozenset(
    "于方时常安白成万金向文乔明水易华兰连包左古单鲁应关牟景尚项盛车池房党宫乐米毕云苗凤花伏强束井富牧山谷步满"
    "弘国红洪欣寿边燕郏农双浩荆墨钮信初练揭晋羊封松阴容宿豆司乌尤卿栗肇暴宗赖楚解沙衡桂桑宁"
)
COMPOUND = frozenset(
    "欧阳 司马 上官 诸葛 司徒 东方 独孤 南宫 慕容 夏侯 皇甫 尉迟 公孙 令狐 端木 轩辕 长孙 宇文 闻人 申屠 司空"
    " 鲜于 呼延 钟离 澹台 公冶 宗政 濮阳 淳于 单于 太叔 仲孙 百里 拓跋 完颜 纳兰 西门 第五 东郭 南郭 赫连".split()
)
# A surname and what follows it, or the given name that a whole name seems to have: words of service talk.
EVERYDAY = frozenset((resources.files("tianjing.privacy") / "everyday_words.txt").read_text(encoding="utf-8").split())
