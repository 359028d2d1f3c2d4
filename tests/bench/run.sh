#!/usr/bin/env bash
# The gateway's CPU per request beside nginx, in one run. Installs nginx where it may.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"

if [[ -z "${NGINX:-}" ]] && ! command -v nginx >/dev/null 2>&1 && [[ ! -x /usr/sbin/nginx ]]; then
  if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null 2>&1; then
    echo "bench: installing nginx (Debian package nginx-light)"
    apt-get update -qq
    # The package would start a server of its own; the bench starts and ends its own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends nginx-light >/dev/null
  else
    echo "bench: nginx is missing; install Debian's nginx-light, or set NGINX=/path/to/nginx" >&2
    exit 1
  fi
fi

cargo build --release --locked -p turnpike-tests --bin turnpike-bench
exec "$target/release/turnpike-bench" "$@"
