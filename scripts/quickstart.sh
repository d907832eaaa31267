#!/usr/bin/env bash
# The main job, end to end, on this machine: set up, tune, evaluate, decide, serve.
#
#   ./scripts/quickstart.sh [--out DIR] [--model NAME] [--serve] [--port P] [any option of `tianjing run`]
#
#   --model tiny   the same path in about two minutes on a random two-layer model (quality means nothing)
#   --serve        leave the endpoint running in the foreground
set -euo pipefail

case " $* " in *" -h "* | *" --help "*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

here=$(cd "$(dirname "$0")" && pwd)
calling=$PWD
. "$here/setup.sh"
tianjing_setup

pipeline=$here/../examples/quickstart.yaml
arguments=()
out=
while [ $# -gt 0 ]; do
  case "$1" in
    --out) out=${2:?--out needs a folder}; shift 2 ;;
    --out=*) out=${1#--out=}; shift ;;
    --model) [ "${2:-}" = tiny ] && pipeline=$here/../examples/tiny.yaml; arguments+=(--model "${2:?--model needs a name}"); shift 2 ;;
    --model=tiny) pipeline=$here/../examples/tiny.yaml; arguments+=("$1"); shift ;;
    *) arguments+=("$1"); shift ;;
  esac
done
if [ -n "$out" ]; then
  case "$out" in /*) ;; *) out=$calling/$out ;; esac
  arguments+=(--out "$out")
fi
exec tianjing run "$pipeline" ${arguments[@]+"${arguments[@]}"}
