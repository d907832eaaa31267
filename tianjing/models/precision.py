"""The number format to compute in. Weights are stored in bfloat16; a processor without instructions for it emulates
them, some hundred times slower than it computes in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Precision = Literal["bfloat16", "float32"]

# As Linux names them: x86 (AVX-512 or AMX) and Arm.
_INSTRUCTIONS = frozenset(("avx512_bf16", "amx_bf16", "bf16"))


def precision(on_gpu: bool, cpuinfo: Path = Path("/proc/cpuinfo")) -> Precision:
    """bfloat16 on a GPU and on a processor that has it, else float32, which takes twice the memory."""
    if on_gpu:
        return "bfloat16"
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "float32"
    words = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features")))
    return "bfloat16" if _INSTRUCTIONS.intersection(next(words, ())) else "float32"
