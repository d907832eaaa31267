# Starts one half of an engine whose copies of the model stand on two nodes: `bash start.sh head` or `… follower`.
# `tianjing serve engine` does not span nodes, so what it does stands here: the check of the release, the inner door and
# the closed environment.
set -euo pipefail

: "${TIANJING_ENGINE_KEY:?is not set}"
export VLLM_API_KEY=$TIANJING_ENGINE_KEY VLLM_PLUGINS="" VLLM_MAX_N_SEQUENCES=4 VLLM_NO_USAGE_STATS=1
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 DO_NOT_TRACK=1

python3 - <<'PYTHON'
from pathlib import Path

from serving.adapters.release import require_release

release = Path("/etc/tianjing/release")
require_release(Path("/models/merged"), release / "release.json", 0.3, release / "trusted.pub")
PYTHON

options=(
  --served-model-name tianjing --max-model-len 8192 --max-num-seqs 64 --dtype bfloat16 --seed 0
  --generation-config vllm --max-logprobs 5 --gpu-memory-utilization 0.9 --tensor-parallel-size 1
  --data-parallel-size 2 --data-parallel-size-local 1 --data-parallel-rpc-port 13345
)
case $1 in
  head)
    exec vllm serve /models/merged "${options[@]}" --data-parallel-address "$POD_IP" \
      --host 0.0.0.0 --port 9000 --middleware tianjing.engine.allow_list.AllowList --uvicorn-log-level warning \
      --disable-fastapi-docs --disable-uvicorn-access-log --enable-prompt-tokens-details --shutdown-timeout 20
    ;;
  follower)
    # The address of the head's pod, which is there before the head answers.
    until head=$(getent hosts engine-head | cut -d' ' -f1) && [ -n "$head" ]; do sleep 2; done
    exec vllm serve /models/merged "${options[@]}" --data-parallel-address "$head" \
      --headless --data-parallel-start-rank 1
    ;;
esac
