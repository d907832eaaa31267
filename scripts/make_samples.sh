#!/usr/bin/env bash
# Write examples/raw anew: the corpus of the quickstart, and its policies in four formats.
# Needs the `dev` extra. Example: ./scripts/make_samples.sh
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python}"
"$python" -m tianjing simulate --cases 1600 --seed 20260 --out examples/raw
rm examples/raw/rules/*.md
"$python" scripts/make_policies.py examples/raw/rules
