"""What is read from which kind of proof document, and the words that announce each field.

A kind not listed here is read for every field of `COMMON`. Labels are the words such papers use; where one word means
something else on one kind of paper (名称 on a licence is the company, on an invoice the buyer), `BY_KIND` says so.
"""

from __future__ import annotations

from typing import Final

from data_recipes.timeline import document_values as values

READERS: Final[dict[str, values.Reader]] = {
    "capitals": values.read_capitals,
    "card": values.read_card,
    "code": values.read_code,
    "count": values.read_count,
    "date": values.read_date,
    "decimal": values.read_decimal,
    "id": values.read_id,
    "org": values.read_org,
    "money": values.read_money,
    "month": values.read_month,
    "person": values.read_person,
    "plate": values.read_plate,
    "serial": values.read_serial,
    "vin": values.read_vin,
    "words": values.read_words,
}

# field -> (type of value, labels); the first label that a paper has counts, longer ones are tried before shorter ones
COMMON: Final[dict[str, tuple[str, str]]] = {
    "accounts": ("count", "账户总数 账户数 贷款账户数 信贷账户数 账户数合计 未结清账户数 信用账户数 未结清账户 账户"),
    "accounts_overdue": ("count", "逾期账户数 当前逾期账户数 逾期账户 发生过逾期的账户数 其中逾期 有逾期的账户 逾期"),
    "address": (
        "words",
        "住址 地址 家庭住址 居住地址 户籍地址 坐落 房屋坐落 房屋地址 住所 经营场所 营业场所 家庭地址 现住址",
    ),
    "admission_number": ("serial", "住院号 病案号 住院编号 病历号 登记号"),
    "admitted_on": ("date", "入院日期 入院时间 住院日期 入院 入院日"),
    "allowance_yuan": ("money", "津贴 补贴 岗位津贴 津贴补贴 补助 津补贴 各项补贴"),
    "annual_income_yuan": (
        "money",
        "年收入 年总收入 年收入合计 全年收入 年薪 年度总收入 年收入总额 折合年收入 全年收入合计",
    ),
    "balance_yuan": ("money", "账户余额 缴存余额 余额 当前余额 期末余额"),
    "bank": ("org", "开户行 开户银行 银行名称 开户机构 存款银行 经办行 开立行 开户网点"),
    "base_yuan": ("money", "基本工资 基础工资 底薪 岗位工资 基本"),
    "before_yuan": ("money", "上年结转 期初余额 上期余额 结转余额 此前余额 年初余额 期初 上期 上年余额"),
    "benefit_months": ("count", "领取期限 享受期限 领取月数 核定月数 可领取月数 待遇期限 应领月数 享受月数 期限"),
    "born_on": ("date", "出生日期 出生年月 出生年月日 出生"),
    "built_square_metres": ("decimal", "建筑面积 房屋建筑面积"),
    "buyer": ("org", "购买方 购方 购买方名称 购方名称 抬头 买方 购货单位"),
    "capital_capitals": ("capitals", "注册资本 资金数额"),
    "capital_yuan": ("money", "注册资本 资金数额 资本"),
    "card_number": ("card", "卡号 账号 银行卡号 银行账号 账户号 付款账号 付款卡号 存款账号 账户 客户账号 付款账户"),
    "closing_yuan": ("money", "期末余额 本期余额 当前余额 账户余额 结余 本期结余 期末结余"),
    "company": ("org", "企业名称 单位名称 公司名称 名称 字号名称"),
    "contract_number": ("serial", "合同编号 合同号 贷款合同编号 借款合同号 合同备案号 贷款合同号 借款合同编号 编号"),
    "credit_code": ("code", "统一社会信用代码 社会信用代码 信用代码 纳税人识别号 税号 销售方纳税人识别号"),
    "days": ("count", "住院天数 实际住院天数 住院日数 共住院 天数"),
    "degree": ("words", "学历 学历层次 层次 培养层次 学历类别"),
    "deposit_capitals": ("capitals", "存款金额 金额 大写 存款金额大写 人民币 金额大写"),
    "deposit_yuan": ("money", "押金 保证金 租赁押金 存款金额 存款余额 金额 小写"),
    "diagnosis": ("words", "诊断 临床诊断 诊断结果 出院诊断 入院诊断 主要诊断 诊断意见 病情诊断"),
    "disbursed_on": ("date", "放款日期 发放日期 贷款发放日期 借款日期 放款日 贷款日期 起息日 借款日 发放日"),
    "discharged_on": ("date", "出院日期 出院时间 出院 出院日"),
    "down_payment_yuan": ("money", "首付款 首付 首期房款 首付款金额 首期款"),
    "each_yuan": ("money", "人均保障金 保障标准 每人每月 人均补助 低保标准 月人均补助 人均金额 人均救助金 人均标准"),
    "employer": (
        "org",
        "工作单位 单位名称 所在单位 用人单位 单位 公司名称 公司 扣缴义务人 扣缴义务人名称 参保单位"
        " 缴存单位 甲方 缴费单位 任职单位 雇主 单位全称",
    ),
    "ends_on": ("date", "终止日期 合同终止日期 到期日期 结束日期 合同到期日 止 截止"),
    "engine_number": ("serial", "发动机号码 发动机号 发动机编号 发动机"),
    "ethnicity": ("words", "民族"),
    "founded_on": ("date", "成立日期 注册日期 设立日期 成立时间 成立于 成立"),
    "from_on": (
        "date",
        "起始日期 开始日期 查询起始日期 税款所属期 所属期 查询期间 起止日期 交易期间 查询时段 所属时期"
        " 税款所属时期 账单周期 期间 起止",
    ),
    "frozen_until": ("date", "冻结至 冻结到期日 冻结期限 冻结截止日 冻结日期 冻结期至 证明有效期至 止付至"),
    "full_years": ("count", "工作年限 工龄 司龄 任职年限 已满 本单位工龄 服务年限 在岗已满"),
    "fund_account": (
        "serial",
        "公积金账号 个人公积金账号 个人账号 住房公积金账号 公积金账户 个人客户号 缴存账号 公积金号",
    ),
    "graduated_on": ("date", "毕业日期 毕业时间 毕(结)业日期 毕（结）业日期 结业日期 毕业"),
    "gross_yuan": ("money", "应发工资 应发合计 应发 应发金额 税前工资 应付工资 应发总额"),
    "head": ("person", "户主姓名 户主"),
    "hospital": ("org", "医院 医院名称 就诊医院 医疗机构 医疗机构名称 住院医院"),
    "housing_fund_yuan": ("money", "住房公积金 公积金 个人公积金 公积金扣款 代扣公积金 公积金个人"),
    "id_number": (
        "id",
        "公民身份号码 公民身份证号码 身份证号码 身份证号 身份证 证件号码 身份号码 证照号码 证件号"
        " 居民身份证号码 识别号 证件 乙方证件",
    ),
    "income_yuan": (
        "money",
        "收入合计 收入总额 贷方合计 转入合计 入账合计 贷方发生额 总收入 收入总计 存入合计 入账总额 贷方累计 收入累计",
    ),
    "inner_square_metres": ("decimal", "套内建筑面积 套内面积 专有建筑面积 专有面积 套内"),
    "insurance_yuan": ("money", "社会保险 社保 社保个人 个人社保 五险 社保扣款 代扣社保 养老保险"),
    "insured_yuan": ("money", "医保支付 统筹支付 医保统筹 医保报销 基金支付 报销金额 医保基金支付 医疗保险支付"),
    "interest_yuan": ("money", "利息 利息合计 支付利息 已还利息 还款利息 归还利息"),
    "issued_on": (
        "date",
        "开具日期 出具日期 证明日期 签发日期 发证日期 开票日期 填发日期 出具时间 打印日期 日期 登记日期"
        " 发证时间 诊断日期 制表日期 开立日 发证 签发 开具日",
    ),
    "issuer": ("org", "签发机关 登记机关 发证机关 承办机关"),
    "item": ("words", "项目名称 货物或应税劳务名称 货物名称 项目 货物或应税劳务、服务名称 商品名称"),
    "joined_on": ("date", "入职日期 入职时间 参加工作时间 到岗日期 入职 入司日期 入职日"),
    "land_from": ("date", "土地使用权起始日期 使用期限 土地使用期限 土地使用权期限 起始日期 土地"),
    "land_until": ("date", "土地使用权终止日期 终止日期 使用期限至"),
    "land_years": ("count", "土地使用年限 使用年限 年限"),
    "landlord": ("person", "出租方 出租人 甲方 房东"),
    "left_on": (
        "date",
        "离职日期 离职时间 解除日期 终止日期 失业日期 失业时间 解除劳动关系日期 离职 解除劳动合同日期 离职日",
    ),
    "lender": ("org", "贷款机构 贷款人 贷款银行 债权人 放款机构 出借人 贷款行 出具机构"),
    "loan_yuan": ("money", "贷款金额 按揭贷款 银行贷款 按揭金额 贷款 剩余房款 按揭"),
    "major": ("words", "专业 所学专业 专业名称"),
    "married_on": ("date", "结婚日期 结婚登记日期 结婚时间"),
    "members": (
        "count",
        "家庭人口 保障人口 家庭成员 享受人数 人口数 家庭人数 户内人口 共有人口 成员人数 保障人数 成员数"
        " 本户共 户内人数",
    ),
    "model": ("words", "品牌型号 车辆型号 厂牌型号 车型 品牌"),
    "month": ("month", "工资月份 发放月份 所属月份 月份 工资所属期 发薪月份"),
    "monthly_benefit_yuan": (
        "money",
        "月失业金 失业保险金 月领取金额 月标准 每月 失业金标准 月领金额 发放标准 月领取标准 失业保险金标准",
    ),
    "monthly_income_capitals": ("capitals", "大写 月收入大写"),
    "monthly_income_yuan": ("money", "月收入 月均收入 平均月收入 月薪 税前月收入 月工资 每月收入"),
    "monthly_pension_capitals": ("capitals", "大写 金额大写 月待遇"),
    "monthly_pension_yuan": (
        "money",
        "月养老金 养老金 基本养老金 每月养老金 月领取金额 月发放金额 每月领取 月待遇 待遇标准",
    ),
    "monthly_rent_capitals": ("capitals", "大写 租金大写"),
    "monthly_rent_yuan": ("money", "月租金 每月租金 租金 租金每月 租金/月"),
    "monthly_wage_capitals": ("capitals", "大写 月工资大写"),
    "monthly_wage_yuan": ("money", "月工资 工资标准 月薪 劳动报酬 每月工资 税前月工资 工资"),
    "monthly_yuan": (
        "money",
        "月保障金额 月补助金额 月发放金额 户月保障金 月低保金 每月发放 月救助金额 合计金额 保障金额 月保障金",
    ),
    "months": ("count", "租期 租赁期限 租赁期 租赁月数 月数"),
    "months_paid": ("count", "缴费月数 累计缴费月数 实际缴费月数 累计月数 缴费月数合计 月数 累计缴费"),
    "name": (
        "person",
        "姓名 户名 账户名称 客户姓名 员工姓名 纳税人姓名 职工姓名 账户姓名 持证人 患者姓名 申请人"
        " 被查询者姓名 纳税人名称 参保人 纳税人 户主 缴存人 劳动者 借款人 客户 本人 患者 法人 抬头",
    ),
    "net_yuan": ("money", "实发工资 实发合计 实发 实发金额 实付工资 到手工资"),
    "number": (
        "serial",
        "编号 证书编号 证号 报告编号 凭证号 流水号 户号 登记号 发票号码 证明编号 凭证编号 票据号码"
        " 回单编号 结婚证字号 离婚证字号 登记编号 字号 权证号 凭证号码 低保证号 记录编号 No. 交易单号 No"
        " 证书号 单号 票号 证照号 证明号 票据号 收据号",
    ),
    "office": (
        "org",
        "登记机关 发证机关 税务机关 经办机构 开具机关 开具单位 主管税务机关 出具单位 核发机关 审批机关"
        " 社保经办机构 办理机构 审批 打印机构 出具机构 登记单位",
    ),
    "opening_yuan": ("money", "期初余额 上期余额 承前余额 起始余额 上期结余 期初结余"),
    "overtime_yuan": ("money", "加班费 加班工资 加班"),
    "paid_capitals": ("capitals", "大写 金额大写 金额合计大写 金额合计 合计大写 人民币"),
    "paid_on": ("date", "还款日期 交易日期 付款日期 还款时间 交易时间 入账日期"),
    "paid_yuan": (
        "money",
        "实缴税额 实缴金额 还款金额 还款总额 实缴(退)金额 实缴（退）金额 金额合计 小写 交易金额"
        " 本次还款金额 还款合计 合计 付款金额 转账金额 金额",
    ),
    "payee": ("org", "收款人 收款方 收款单位 收款人名称 收款机构 收款户名 收款银行"),
    "penalty_yuan": ("money", "罚息 违约金 逾期罚息 滞纳金"),
    "plate": ("plate", "号牌号码 车牌号码 车牌号 号牌"),
    "position": ("words", "职务 岗位 职位 工作岗位 担任职务 工种"),
    "principal_yuan": ("money", "本金 借款本金 贷款本金 贷款金额 借款金额 还款本金 归还本金 已还本金"),
    "reason": ("words", "离职原因 解除原因 原因 终止原因 离职事由"),
    "registered_on": ("date", "登记日期 登记时间 注册日期 失业登记日期 发证日期 登记 注册"),
    "repaid_yuan": (
        "money",
        "还款总额 已还总额 累计还款 本息合计 还款合计 已还本息 还款总计 累计还款金额 实际还款 已还合计 共还款",
    ),
    "reported_on": ("date", "报告日期 报告时间 查询时间 查询日期 报告生成日期 查询日 报告日"),
    "rest_days": ("count", "建议休息 休息 建议休息天数 休息天数 休养 全休"),
    "rest_until": ("date", "休息至 休养至 全休至 病假至"),
    "retired_on": ("date", "退休日期 退休时间 批准退休时间 离退休时间 退休 退休日"),
    "scope": ("words", "经营范围 经营"),
    "school": ("org", "学校名称 毕业院校 院校名称 学校 院校 毕业学校"),
    "seats": ("count", "核定载人数 载人数 核载人数 核定载客 座位数 座位"),
    "self_paid_yuan": ("money", "个人自付 自付金额 个人支付 自费金额 个人负担 自付 个人自负 自费"),
    "seller": ("org", "出卖人 卖方 开发商 销售方 销方 销售方名称 甲方 出售方 开票方 销货单位"),
    "settled_on": ("date", "结清日期 结清时间 还清日期 结清日 贷款结清日期"),
    "sex": ("words", "性别"),
    "shared_square_metres": ("decimal", "分摊建筑面积 共有分摊面积 分摊面积 公摊面积 共有分摊建筑面积 分摊"),
    "signed_on": ("date", "签订日期 签署日期 签约日期 合同签订日期 签订时间 签订日"),
    "spouse_born_on": ("date", ""),
    "spouse_id_number": ("id", ""),
    "spouse_name": ("person", "配偶姓名 配偶 对方"),
    "square_metres": ("decimal", "建筑面积 面积 房屋面积"),
    "started_on": ("date", "入学日期 入学时间 入学"),
    "starts_on": (
        "date",
        "起始日期 合同起始日期 开始日期 起租日期 起租日 租赁起始日 合同期限 租赁期限 起租 起 起始 自",
    ),
    "study_years": ("count", "学制"),
    "tax_item": ("words", "税种 征收项目 税目 征收税种 品目名称"),
    "tax_percent": ("count", "税率 征收率 税率/征收率"),
    "tax_yuan": ("money", "个人所得税 税额 个税 代扣个税 所得税 代扣税款"),
    "term_years": ("count", "合同期限 合同期 期限"),
    "to_on": ("date", "截止日期 终止日期 查询截止日期 结束日期"),
    "total_balance_yuan": ("money", "余额合计 总余额 贷款余额合计 合计余额 负债总额 未还余额合计 余额总计 贷款余额"),
    "total_benefit_yuan": (
        "money",
        "失业金总额 合计金额 总金额 应领总额 领取总额 累计金额 共计 金额合计 核定总额 总额",
    ),
    "total_capitals": ("capitals", "价税合计 合计大写 总价大写 大写 合计金额大写 金额大写 总价款大写 费用合计大写"),
    "total_income_yuan": ("money", "收入合计 收入额合计 累计收入 收入总额 合计收入 收入总计"),
    "total_personal_yuan": ("money", "个人缴费合计 个人缴纳合计 个人合计 个人缴费总额 个人部分合计 个人缴纳总额"),
    "total_rent_yuan": ("money", "租金总额 租金总计 租金合计 合计租金 总租金 合同总租金 租金共计"),
    "total_tax_yuan": ("money", "税额合计 已缴税额合计 纳税合计 实缴税额合计 已纳税额 累计纳税 缴税合计 税额总计"),
    "total_yuan": (
        "money",
        "总价 总金额 合计 费用合计 费用总额 总费用 价税合计 房屋总价 总价款 合计金额 住院总费用 小写"
        " 缴存合计 缴存额合计 小计 本期缴存 本期合计 总计",
    ),
    "unit_price_yuan": ("money", "单价 房屋单价"),
    "valid_from": ("date", "有效期起 有效期限 有效期 有效期自 有效"),
    "valid_to": ("date", "有效期至 有效期止"),
    "valid_years": ("count", ""),
    "vin": ("vin", "车辆识别代号 车架号 车辆识别代码 VIN"),
    "ward": ("words", "科室 病区 科别 住院科室 就诊科室 所在科室"),
}

# kind -> the fields that such a paper states
KINDS: Final[dict[str, str]] = {
    "身份证": "name id_number sex ethnicity born_on address issuer valid_from valid_to valid_years",
    "户口簿": "number head address members issuer",
    "结婚证": "name id_number born_on spouse_name spouse_born_on spouse_id_number office number registered_on",
    "离婚证": "name id_number born_on spouse_name spouse_born_on spouse_id_number office number"
    " married_on registered_on",
    "学历证明": "name id_number sex born_on school major degree study_years started_on graduated_on number",
    "在职证明": "name id_number employer credit_code position joined_on full_years issued_on",
    "收入证明": "name id_number employer position joined_on monthly_income_yuan monthly_income_capitals"
    " annual_income_yuan issued_on",
    "离职证明": "name id_number employer position joined_on left_on reason issued_on",
    "劳动合同": "name id_number employer credit_code position signed_on starts_on ends_on term_years"
    " monthly_wage_yuan monthly_wage_capitals",
    "工资单": "name employer month base_yuan overtime_yuan allowance_yuan gross_yuan insurance_yuan"
    " housing_fund_yuan tax_yuan net_yuan",
    "社保缴费记录": "name id_number employer months_paid total_personal_yuan office",
    "公积金缴存证明": "name id_number employer fund_account total_yuan before_yuan balance_yuan",
    "个税纳税记录": "name id_number employer number total_income_yuan total_tax_yuan",
    "完税证明": "name id_number number tax_item from_on to_on paid_yuan paid_capitals issued_on office",
    "失业登记证明": "name id_number number left_on registered_on benefit_months monthly_benefit_yuan"
    " total_benefit_yuan office",
    "低保证明": "name id_number members each_yuan monthly_yuan valid_from valid_to address office number",
    "养老金证明": "name id_number born_on retired_on monthly_pension_yuan monthly_pension_capitals office issued_on",
    "诊断证明": "name id_number hospital ward admission_number admitted_on discharged_on days diagnosis rest_days"
    " rest_until issued_on",
    "住院费用清单": "name id_number hospital ward admission_number admitted_on discharged_on days number total_yuan"
    " total_capitals insured_yuan self_paid_yuan",
    "银行流水": "name card_number bank from_on to_on opening_yuan income_yuan closing_yuan",
    "存款证明": "name id_number bank card_number deposit_yuan deposit_capitals issued_on frozen_until",
    "结清证明": "name id_number lender contract_number disbursed_on settled_on principal_yuan"
    " interest_yuan repaid_yuan issued_on",
    "还款凭证": "name card_number payee number paid_on principal_yuan interest_yuan penalty_yuan"
    " paid_yuan paid_capitals",
    "征信报告": "name id_number number reported_on accounts accounts_overdue total_balance_yuan",
    "营业执照": "company credit_code name capital_yuan capital_capitals founded_on issued_on address scope office",
    "发票": "number buyer seller credit_code item net_yuan tax_percent tax_yuan total_yuan total_capitals issued_on",
    "不动产权证": "name id_number number address inner_square_metres shared_square_metres"
    " built_square_metres land_from land_until land_years registered_on",
    "行驶证": "plate name address model vin engine_number registered_on issued_on seats",
    "房屋租赁合同": "landlord name id_number address signed_on starts_on months monthly_rent_yuan"
    " monthly_rent_capitals total_rent_yuan deposit_yuan",
    "购房合同": "name id_number seller contract_number address square_metres unit_price_yuan total_yuan"
    " total_capitals down_payment_yuan loan_yuan signed_on",
}

# kind -> field -> labels that stand in place of the common ones
BY_KIND: Final[dict[str, dict[str, str]]] = {
    "营业执照": {
        "name": "法定代表人 经营者 负责人 法人代表 投资人 法人",
        "issued_on": "发证日期 核准日期 登记日期 核准",
    },
    "房屋租赁合同": {"name": "承租方 承租人 乙方 承租", "deposit_yuan": "押金 保证金 租赁押金"},
    "购房合同": {"name": "买受人 买方 乙方 购买人 购房人", "seller": "出卖人 卖方 甲方 开发商"},
    "劳动合同": {"name": "乙方 劳动者 姓名", "employer": "甲方 用人单位"},
    "还款凭证": {
        "name": "付款人 付款方 户名 还款人 姓名 付款户名",
        "number": "凭证号 流水号 回单编号 交易流水号 交易单号 单号 凭证编号 编号",
    },
    "不动产权证": {"name": "权利人 所有权人", "number": "不动产权证号 证号 编号"},
    "行驶证": {"name": "所有人 车主", "registered_on": "注册日期 注册", "issued_on": "发证日期 发证"},
    "存款证明": {"deposit_yuan": "存款金额 存款余额 金额 小写 余额"},
    "结婚证": {"registered_on": "登记日期 结婚日期", "name": "持证人 姓名", "number": "结婚证字号 字号 证号 编号"},
    "离婚证": {
        "registered_on": "登记日期 离婚日期 离婚登记日期",
        "name": "持证人 姓名",
        "number": "离婚证字号 字号 证号 编号",
    },
    "发票": {
        "buyer": "购买方名称 购买方 购方 名称 抬头 购货单位",
        "number": "发票号码 票号 No. No",
        "net_yuan": "金额 不含税金额",
    },
    "失业登记证明": {"registered_on": "登记日期 失业登记日期 登记时间"},
}
