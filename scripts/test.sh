#!/usr/bin/env bash
# Set up, then lint, types and every test. `./scripts/test.sh --fast` leaves out what starts vLLM or trains.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
tianjing_setup dev

ruff check .
ruff format --check .
mypy
lint-imports

# Two at a time, a file's tests together: much of the time goes into waiting for programs that start.
if [ "${1:-}" = --fast ]; then
  shift
  exec python -m pytest -n 2 --dist loadfile -m "not slow" "$@"
fi
exec python -m pytest -n 2 --dist loadfile "$@"
