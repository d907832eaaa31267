"""What the operator reads when the endpoint is up: address, model, key, and two examples that work when pasted."""

from __future__ import annotations

from serving.identity.bootstrap import VARIABLE, ApiKey

_TEXT = """
The endpoint answers. Ctrl-C stops it.

  base URL   {base_url}
  model      {model}
  API key    {hint}{key}
  hand-offs  {base_url}/handoffs

export {variable}={shown}

curl {base_url}/chat/completions \\
  -H "Authorization: Bearer ${variable}" -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "工资晚发，可以晚几天还款吗？"}}]}}'

python - <<'EOF'
import os
from openai import OpenAI
client = OpenAI(base_url="{base_url}", api_key=os.environ["{variable}"])
messages = [{{"role": "user", "content": "工资晚发，可以晚几天还款吗？"}}]
print(client.chat.completions.create(model="{model}", messages=messages).choices[0].message.content)
EOF
"""


def welcome(base_url: str, model: str, key: ApiKey | None) -> str:
    """The text, with the key itself only when it has just been made; without a key of its own, a keyring has all."""
    fresh = key.fresh if key is not None else None
    return _TEXT.format(
        base_url=base_url,
        model=model,
        hint=key.hint if key is not None else "one of the keyring's: tianjing serve keys list",
        key=f"\n             {fresh}" if fresh else "",
        shown=fresh or "YOUR-KEY",
        variable=VARIABLE,
    )
