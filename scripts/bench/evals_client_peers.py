"""One client asks the mock of `evals_client.py`; prints its seconds as JSON. Runs in the Python of the client.

Usage: PYTHON scripts/bench/evals_client_peers.py bare|lm-eval|inspect|inspect-default URL SAMPLES CONCURRENCY
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time

SYSTEM = "你是消费金融公司的质检员，只回答选项字母和依据。"
QUESTION = (
    "第{number}通对话。坐席：您好，这里是晨舟，您这期账单逾期了，今天能处理吗？客户：我刚换工作，工资要下月十号才发，"
    "能不能晚几天？坐席：可以申请延期，我帮您登记，最长不超过十天。问：坐席的处理属于哪一类？A. 延期还款 B. 要求凭证 "
    "C. 确认日期 D. 其他"
)
MAX_TOKENS = 32


def bare(url: str, samples: int, concurrency: int) -> float:
    """aiohttp alone, as its documentation shows it: no retries, nothing kept. The ceiling for a client built on it."""
    import aiohttp

    async def ask() -> float:
        numbers = iter(range(samples))

        async def work(session: aiohttp.ClientSession) -> None:
            for number in numbers:
                messages = [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": QUESTION.format(number=number)},
                ]
                body = {"model": "base", "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0.0, "seed": 1}
                async with session.post(url + "/chat/completions", json=body) as response:
                    (await response.json())["choices"][0]["message"]["content"]

        connector = aiohttp.TCPConnector(limit=concurrency)
        async with aiohttp.ClientSession(connector=connector) as session:
            began = time.perf_counter()
            await asyncio.gather(*(work(session) for _ in range(concurrency)))
            return time.perf_counter() - began

    return asyncio.run(ask())


def lm_eval(url: str, samples: int, concurrency: int) -> float:
    """`generate_until` of lm-eval's chat API model, without its loading of tasks."""
    os.environ.setdefault("OPENAI_API_KEY", "k")
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalChatCompletion

    model = LocalChatCompletion(
        base_url=url + "/chat/completions", model="base", num_concurrent=concurrency, tokenizer_backend=None
    )
    settings = {"until": ["客户："], "max_gen_toks": MAX_TOKENS, "temperature": 0.0}
    requests = []
    for number in range(samples):
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION.format(number=number)}]
        arguments = (model.apply_chat_template(messages), settings)
        requests.append(Instance("generate_until", {}, arguments, number, metadata=("bench", number, 1)))
    began = time.perf_counter()
    answers = model.generate_until(requests, disable_tqdm=True)
    spent = time.perf_counter() - began
    assert len(answers) == samples and all(answers)
    return spent


def inspect(url: str, samples: int, concurrency: int, default: bool) -> float:
    """`eval` of a task that only generates; unless `default`, with the display and the realtime log off."""
    os.environ["MOCK_API_KEY"] = "k"
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.solver import generate, system_message

    task = Task(
        dataset=[Sample(input=QUESTION.format(number=number)) for number in range(samples)],
        solver=[system_message(SYSTEM), generate()],
    )
    faster = {} if default else {"display": "none", "log_realtime": False}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        (log,) = eval(
            task,
            model="openai-api/mock/base",
            model_base_url=url,
            max_connections=concurrency,
            max_samples=concurrency,
            max_tokens=MAX_TOKENS,
            temperature=0.0,
            log_dir=folder,
            **faster,
        )
        spent = time.perf_counter() - began
    assert log.status == "success", log.error and log.error.message
    assert log.results.completed_samples == samples
    return spent


def main() -> None:
    name, url, samples, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    logging.disable(logging.WARNING)
    if name == "bare":
        spent = bare(url, samples, concurrency)
    elif name == "lm-eval":
        spent = lm_eval(url, samples, concurrency)
    else:
        spent = inspect(url, samples, concurrency, default=name == "inspect-default")
    print("\n" + json.dumps({"seconds": spent}))


if __name__ == "__main__":
    main()
