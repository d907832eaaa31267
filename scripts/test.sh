#!/usr/bin/env bash
# Set up, then lint, types and every test. `./scripts/test.sh --fast` leaves out what starts vLLM or trains.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
tianjing_setup dev

ruff check .
ruff format --check .
mypy
lint-imports

if [ "${1:-}" = --fast ]; then
  shift
  exec python -m pytest -m "not slow" "$@"
fi
exec python -m pytest "$@"
