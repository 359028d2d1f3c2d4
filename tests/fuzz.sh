#!/usr/bin/env bash
# Fuzzes the protocol crate: each target for FUZZ_SECONDS (60), all of them or those named in
# FUZZ_TARGETS. Begins with the golden bodies of the tests; installs cargo-fuzz if it is missing.
set -euo pipefail
cd "$(dirname "$0")/../host/protocol/fuzz"

SECONDS_EACH=${FUZZ_SECONDS:-60}
TARGETS=${FUZZ_TARGETS:-framer eventstream call answer chunk translate}
# libFuzzer needs flags of the compiler that stable Rust hides; no nightly is needed for them.
export RUSTC_BOOTSTRAP=1

if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "cargo-fuzz is missing: installing it"
  cargo install cargo-fuzz --locked
fi

# The crate has no unsafe code, so that a sanitizer would only make it slower.
BUILD=(--sanitizer none)
if [[ -n ${CARGO_TARGET_DIR:-} ]]; then
  BUILD+=(--target-dir "$CARGO_TARGET_DIR/fuzz")
fi

# The number of a dialect is its place in `Dialect::ALL`.
dialect() {
  case "$1" in
    *openai-chat* | *openai_chat*) echo 0 ;;
    *openai-responses*) echo 1 ;;
    *anthropic-messages*) echo 2 ;;
    *gemini*) echo 3 ;;
    *) echo 4 ;;
  esac
}

byte() { printf "\\x$(printf %02x "$1")"; }

seed() { # the target, a name, the numbers in front; the body comes in
  local target=$1 name=$2
  shift 2
  { for number; do byte "$number"; done && cat; } >"corpus/$target/$name"
}

for target in $TARGETS; do mkdir -p "corpus/$target"; done
find ../tests/golden -name '*.json' -o -name '*.sse' | sort | while read -r file; do
  from=$(dialect "$file")
  name=$(sed 's|.*/golden/||; s|/|-|g' <<<"$file")
  for target in $TARGETS; do
    case "$target" in
      call | answer) seed "$target" "$name" "$from" <"$file" ;;
      framer | eventstream) seed "$target" "$name" 7 <"$file" ;;
      translate)
        for to in 0 1 2 3 4; do seed "$target" "$name-$to" "$from" "$to" <"$file"; done
        ;;
      chunk)
        number=0
        while read -r line; do
          number=$((number + 1))
          seed "$target" "$name-$number" "$from" <<<"$line"
        done < <(sed -n 's/^data: *//p' "$file")
        ;;
    esac
  done
done

for target in $TARGETS; do
  printf '\n== %s, %s seconds\n' "$target" "$SECONDS_EACH"
  cargo fuzz run "${BUILD[@]}" "$target" -- \
    -max_total_time="$SECONDS_EACH" -max_len=8192 -timeout=10 -print_final_stats=1 -verbosity=0 \
    2>&1 | sed '/^###### Rec/,/^###### End/d'
done
