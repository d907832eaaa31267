"""A processor that would only emulate bfloat16 computes in float32."""

from __future__ import annotations

from pathlib import Path

import pytest

from tianjing.models.precision import precision


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu sse2 avx512f avx512_bf16", "bfloat16"),
        ("Features\t: fp asimd bf16", "bfloat16"),
        ("flags\t\t: fpu sse2 avx2 fma", "float32"),
        ("model name\t: a processor called bf16", "float32"),
    ],
)
def test_the_processor_decides(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert precision(on_gpu=False, cpuinfo=tmp_path / "cpuinfo") == expected


def test_a_gpu_computes_in_bfloat16_whatever_the_processor(tmp_path: Path) -> None:
    assert precision(on_gpu=True, cpuinfo=tmp_path / "none") == "bfloat16"
    assert precision(on_gpu=False, cpuinfo=tmp_path / "none") == "float32"
