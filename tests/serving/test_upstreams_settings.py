"""What an engine's settings accept: addresses, secrets, names."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.errors import ServeError
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings


@pytest.mark.parametrize("url", ["", "localhost:1", "ftp://x", "unix:relative", "http://u:p@h", "http://h/?a=1"])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"unix:|key_env"):
        UpstreamSettings(url=url)


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("ENGINE_SECRET", "from-env")
    assert UpstreamSettings(url="http://h", key_file=tmp_path / "key").secret() == "from-file"
    assert UpstreamSettings(url="http://h", key_env="ENGINE_SECRET").secret() == "from-env"
    for wrong in ({"key_file": tmp_path / "absent"}, {"key_env": "ABSENT"}):
        with pytest.raises(ServeError, match=r"absent|ABSENT"):
            UpstreamSettings(url="http://h", **wrong).secret()  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="not by both"):
        UpstreamSettings(url="http://h", key_env="A", key_file=tmp_path)
    with pytest.raises(ServeError, match="two upstreams"):
        Pool([(UpstreamSettings(url="http://h"), ""), (UpstreamSettings(url="http://h"), "")])
