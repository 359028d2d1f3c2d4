#!/usr/bin/env bash
# Runs the training program natively: `run.sh report|mistakes|write|check FOLDER`. The folder is
# taken from where the caller stands. CARGO_TARGET_DIR is respected.
set -euo pipefail
readonly what="$1" data="$(realpath -m -- "$2")"
cd "$(dirname "$0")/../.."
# A folder of their own: the two workspaces share package names and must not share artefacts.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:+$CARGO_TARGET_DIR/plugins-native}"
[[ -n "$CARGO_TARGET_DIR" ]] || export CARGO_TARGET_DIR="$PWD/target/native"
exec cargo run --quiet --release --locked -p classify-train -- "$what" "$data"
