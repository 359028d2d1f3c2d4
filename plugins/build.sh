#!/usr/bin/env bash
# Compiles the guests and makes components of them in plugins/dist. Without arguments all of
# them; with names (`plugins/build.sh example-classify-keyword`) only those. When nothing changed
# since the last full build it does nothing. CARGO_TARGET_DIR is respected: guests are built in a
# subfolder of it, because another target and perhaps another compiler build them.
# TURNPIKE_TOOL_PROFILE is the profile in which the caller builds the program next (`dev`).
set -euo pipefail
cd "$(dirname "$0")"
readonly root="$PWD/.."
readonly dist="$PWD/dist"
readonly stamp="$dist/.built"
readonly -a everything=(
  policy-default classify-default route-default redact-default bill-default
  example-classify-keyword
)

say() { echo "guests: $*" >&2; }

# What the guests are made of; a newer file of these makes them old.
newer_source() {
  find "$root/wit" "$root/sdk" . -newer "$stamp" -type f \
    \( -name '*.rs' -o -name '*.toml' -o -name '*.lock' -o -name '*.wit' -o -name '*.sh' \
    -o -name weights.txt \) \
    -not -path '*/dist/*' -not -path '*/target/*' -not -path './.toolchain/*' \
    -not -path '*/.turnpike/*' -print -quit
}

up_to_date() {
  [[ -f "$stamp" && "$(cat "$stamp")" == "${TURNPIKE_GUEST_TOOLCHAIN:-any}" ]] || return 1
  local name
  for name in "$@"; do
    [[ -s "$dist/$name.wasm" ]] || return 1
  done
  [[ -z "$(newer_source)" ]]
}

crate_of() {
  if [[ -d "components/$1" ]]; then echo "$1-component"; else echo "$1"; fi
}

componentize_tool() {
  if [[ -n "${TURNPIKE_COMPONENTIZE:-}" ]]; then
    echo "$TURNPIKE_COMPONENTIZE"
    return
  fi
  # Cargo unifies the features of the packages that are selected. With those that are built next
  # selected as well, the tool is made of the very crates that they need; alone it had all of
  # them compiled a second time.
  local profile="${TURNPIKE_TOOL_PROFILE:-dev}" folder
  local -a selected=(-p turnpike -p turnpike-componentize)
  folder="$profile"
  if [[ "$profile" == dev ]]; then
    folder=debug selected=(--workspace)
  fi
  (cd "$root" && cargo build --quiet --locked --profile "$profile" "${selected[@]}" \
    --bin turnpike-componentize >&2)
  echo "${CARGO_TARGET_DIR:-$root/target}/$folder/turnpike-componentize"
}

main() {
  local -a names=("$@") packages=()
  (( $# > 0 )) || names=("${everything[@]}")
  if up_to_date "${names[@]}"; then
    say "up to date"
    return
  fi
  local name way tool guests started=$SECONDS
  for name in "${names[@]}"; do
    packages+=(-p "$(crate_of "$name")")
  done
  way="$(./toolchain.sh)"
  eval "$way"
  tool="$(componentize_tool)"
  guests="${CARGO_TARGET_DIR:-$root/target}/guests-$GUEST_WAY"
  say "compiling ${names[*]} (toolchain: $GUEST_WAY)"
  env ${GUEST_ENV[@]+"${GUEST_ENV[@]}"} CARGO_TARGET_DIR="$guests" \
    cargo build --quiet --locked --release --target wasm32-unknown-unknown \
    ${GUEST_CARGO[@]+"${GUEST_CARGO[@]}"} "${packages[@]}"
  mkdir -p "$dist"
  local crate
  for name in "${names[@]}"; do
    crate="$(crate_of "$name")"
    "$tool" "$guests/wasm32-unknown-unknown/release/${crate//-/_}.wasm" "$dist/.$name.new"
    mv "$dist/.$name.new" "$dist/$name.wasm"
  done
  (( $# > 0 )) || echo "${TURNPIKE_GUEST_TOOLCHAIN:-any}" > "$stamp"
  say "built in $((SECONDS - started)) s: $(cd "$dist" && stat -c '%n %s' -- *.wasm | paste -sd, )"
}

main "$@"
