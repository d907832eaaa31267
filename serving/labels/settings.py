"""Settings of the labels that an answer carries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tianjing.config import StrictModel


class LabelSettings(StrictModel):
    """The explicit notice and the implicit metadata. What counsel must check is in docs/serving-audit.md."""

    producer: str = Field(default="", max_length=200)
    """ContentProducer: name or code of the company that offers the service. "" labels nothing: set it before the first
    customer is served."""

    propagator: str = Field(default="", max_length=200)
    """ContentPropagator: name or code of who passes the content on, "" when that is for them to fill in."""

    notice: Literal["client", "prefix", "suffix"] = "client"
    """Who tells people that they read generated text. `client`: the application shows a standing notice, which GB
    45438-2025 allows for interactive services; the gateway then says so in a header. `prefix` and `suffix` put `text`
    into every answer, save one that must stay JSON or calls a tool."""

    text: str = "（本内容由人工智能生成）"
    """Words of the notice."""

    @field_validator("text")
    @classmethod
    def _says_so(cls, text: str) -> str:
        if not ("人工智能" in text or "AI" in text) or not ("生成" in text or "合成" in text):
            raise ValueError("the notice must name 人工智能 or AI, and 生成 or 合成 (GB 45438-2025, §5)")
        return text
