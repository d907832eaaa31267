"""A tiny random Qwen3 for tests: two layers, hidden 64, head_dim 32; loads in transformers and serves in vLLM.

It knows nothing; it is there so that the whole chain can be driven in seconds. Its tokenizer is made to keep Chinese
prompts short: one token for each of the 3,755 most common characters, and common words of the domain on top.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tianjing.files import canonical_json, sha256_bytes
from tianjing.models.cache import ensure
from tianjing.models.progress import OnPhase

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHATML = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
}
_SEED = 0
_VOCABULARY = 6144
_RECIPE = 1
SAMPLE_TEXT = """
您好，这里是客户服务中心，请问有什么可以帮您？根据《还款安排管理办法》第八条，您可以申请分期还款，最长不超过二十四期。
我最近失业了，暂时没有收入，能不能延期还款？请您提供相关的证明材料，我们会在三个工作日内审核并答复您。
逾期利息和费用怎么算？逾期期间按照合同约定的年化利率计收罚息，您可以要求我们逐项说明本金、利息和费用。
不好意思，我忘记还款了。没关系，建议您开通自动扣款，请问您打算什么时候还款，我们约定一个具体的日期。
你们不能联系我的家人，也不要泄露我的个人信息。客户个人信息应当依法保护，贷后沟通不得威胁、恐吓或者骚扰客户。
我要投诉。非常抱歉给您带来不便，您的投诉已经登记，专员会在两个工作日内跟进处理。
经核实，该坐席的表述违反了贷后沟通行为规范，质检结果如下：编号、依据、原文和合规的改写。
根据规定，消费者有权了解贷款的实际年化利率、还款计划、提前还款的条件以及违约责任。
"""


def ensure_tiny(on_phase: OnPhase, texts: Sequence[str] | None = None, seed: int = _SEED) -> Path:
    """Folder of the tiny model for this seed and these texts, made now if need be (seconds).

    Args:
        texts: what the tokenizer learns words from; None takes `SAMPLE_TEXT`.
    """
    learned = tuple(texts) if texts is not None else tuple(SAMPLE_TEXT.split("\n"))
    parameters = {
        "name": "tiny",
        "recipe": _RECIPE,
        "seed": seed,
        "shape": SHAPE,
        "vocabulary": _VOCABULARY,
        "texts_sha256": sha256_bytes(canonical_json(learned).encode()),
    }
    name = f"tiny-{sha256_bytes(canonical_json(parameters).encode())[:12]}"

    def fill(out: Path) -> None:
        on_phase("building the tiny model", 0.0)
        _build(out, learned, seed)

    return ensure(name, parameters, on_phase, fill)


def _build(out: Path, texts: Sequence[str], seed: int) -> None:
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    tokenizer = _train_tokenizer(texts)
    end, pad = tokenizer.convert_tokens_to_ids([TURN_END, END_OF_TEXT])
    config = Qwen3Config(
        **SHAPE,
        vocab_size=-(-len(tokenizer) // 64) * 64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        dtype="bfloat16",
    )
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(seed)
        model: Any = Qwen3ForCausalLM(config)
    model = model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)


def _train_tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    special = [END_OF_TEXT, TURN_START, TURN_END]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = Qwen2Tokenizer().backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=special,
        show_progress=False,
    )
    # Each character alone, often enough to become a token before rare words of the texts do.
    characters = [character for character in _common_characters() for _ in range(3)]
    bare.train_from_iterator([*characters, *texts], trainer)
    learned = json.loads(bare.to_str())["model"]
    merges: Any = [tuple(merge) for merge in learned["merges"]]
    nothing: Any = None  # a byte-level vocabulary has no unknown token
    tokenizer = Qwen2Tokenizer(learned["vocab"], merges, nothing, eos_token=TURN_END, pad_token=END_OF_TEXT)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.chat_template = CHATML
    tokenizer.model_max_length = SHAPE["max_position_embeddings"]
    return tokenizer


def _common_characters() -> list[str]:
    """The 3,755 characters of GB 2312 level 1, by code: rows 0xB0 to 0xD7, without the empty end of the last."""
    cells = [bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)]
    return [cell.decode("gb2312") for cell in cells if cell < b"\xd7\xfa"]
