#!/usr/bin/env bash
# The policies' and the SDK's unit tests, natively: their logic needs no WebAssembly to be tested.
set -euo pipefail
cd "$(dirname "$0")"
# A folder of their own: the two workspaces share package names and must not share artefacts.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:+$CARGO_TARGET_DIR/plugins-native}"
[[ -n "$CARGO_TARGET_DIR" ]] || export CARGO_TARGET_DIR="$PWD/target/native"
cargo fmt --all --check
exec cargo test --workspace --locked --quiet
