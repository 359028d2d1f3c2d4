#!/usr/bin/env bash
# Every test there is: policies (native), ledger, protocol, simulator, host, and the end-to-end
# tests that drive the real binary. Installs what is missing and says so.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "formatting and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings

step "policies: native unit tests"
plugins/test.sh

step "the gateway (development build)"
cargo build --locked -p turnpike

step "the clients that applications use"
tests/clients/setup.sh >/dev/null

step "all tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --workspace --locked --no-fail-fast
else
  # The standard runner does the same, a little slower.
  cargo test --workspace --locked --no-fail-fast
fi
