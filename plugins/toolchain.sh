#!/usr/bin/env bash
# Finds a way to compile guests for wasm32-unknown-unknown and prints it as shell assignments:
#   GUEST_WAY       target | rustup | debian
#   GUEST_ENV       array of NAME=value for the environment of cargo
#   GUEST_CARGO     array of extra arguments of `cargo build`
# The order: the target is installed; rustup can add it; Debian packages, which bring a compiler
# and the sources of the standard library. TURNPIKE_GUEST_TOOLCHAIN=target|rustup|debian allows
# only that way. Nothing outside of plugins/.toolchain is changed, except that `rustup` adds a
# target to the active toolchain and that root installs the Debian packages.
set -euo pipefail
cd "$(dirname "$0")"

readonly target=wasm32-unknown-unknown
readonly unpacked="$PWD/.toolchain"
readonly only="${TURNPIKE_GUEST_TOOLCHAIN:-}"

say() { echo "guests: $*" >&2; }
allowed() { [[ -z "$only" || "$only" == "$1" ]]; }

# Links a trivial library, because a target without its linker is found nowhere earlier.
links() {
  local probe
  probe="$(mktemp -d)"
  echo '#[unsafe(no_mangle)]
pub extern "C" fn f() -> usize { std::hint::black_box(vec![1]).len() }' \
    > "$probe/probe.rs"
  local ok=0
  rustc --edition 2024 --crate-type cdylib --target "$target" -o "$probe/probe.wasm" \
    "$probe/probe.rs" > /dev/null 2>&1 || ok=1
  rm -rf "$probe"
  return "$ok"
}

answer() {
  local way="$1"
  declare -p GUEST_ENV GUEST_CARGO | sed 's/^declare -a/declare -ga/'
  printf 'GUEST_WAY=%q\n' "$way"
}

by_target() {
  command -v rustc > /dev/null && links || return 1
  GUEST_ENV=() GUEST_CARGO=()
  answer "$1"
}

by_rustup() {
  command -v rustup > /dev/null || return 1
  say "adding $target with rustup"
  timeout 300 rustup target add "$target" >&2 && by_target rustup
}

# The compiler of `rustc-web`: installed, or unpacked into .toolchain.
debian_rustc() {
  if [[ -x /usr/bin/rustc && -d /usr/lib/rustlib/src/rust/library ]]; then
    echo /usr/bin/rustc
  elif [[ -x "$unpacked/rustc" && -d "$unpacked/usr/lib/rustlib/src/rust/library" ]]; then
    echo "$unpacked/rustc"
  else
    return 1
  fi
}

# The linker: the one that rustup's toolchain brings, or lld-19.
debian_linker() {
  local sysroot host found
  if command -v rustc > /dev/null; then
    sysroot="$(rustc --print sysroot 2> /dev/null || true)"
    host="$(rustc -vV 2> /dev/null | sed -n 's/^host: //p')"
    found="$sysroot/lib/rustlib/$host/bin/rust-lld"
    [[ -x "$found" ]] && echo "$found" && return
  fi
  for found in /usr/bin/wasm-ld-19 "$unpacked/wasm-ld-19" /usr/bin/wasm-ld; do
    [[ -x "$found" ]] && echo "$found" && return
  done
  return 1
}

# --no-remove: `rustc-web` conflicts with other packaged compilers, which are not ours to remove.
install_packages() {
  [[ "$(id -u)" == 0 ]] || return 1
  say "installing $*"
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove "$@" >&2
}

# Downloads packages with what they depend on and lack here, and unpacks them without installing.
unpack_packages() {
  local debs package
  local -a wanted=()
  say "unpacking $* into plugins/.toolchain"
  debs="$(mktemp -d)"
  while read -r package; do
    if [[ "$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null)" != *"ok installed" ]]; then
      wanted+=("$package")
    fi
  done < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$@" | grep -E '^(lib(llvm|std-rust)|rustc-web|rust-web-src|lld-)' \
    | sort -u)
  (cd "$debs" && apt-get download "${wanted[@]}" >&2) || { rm -rf "$debs"; return 1; }
  mkdir -p "$unpacked"
  for package in "$debs"/*.deb; do
    dpkg -x "$package" "$unpacked"
  done
  rm -rf "$debs"
  wrap rustc usr/bin/rustc
  wrap wasm-ld-19 usr/lib/llvm-19/bin/wasm-ld
}

# Unpacked programs find their libraries only when told where.
wrap() {
  [[ -e "$unpacked/$2" ]] || return 0
  local libraries
  libraries="$(find "$unpacked/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec %q "$@"\n' \
    "$libraries" "$unpacked/$2" > "$unpacked/$1"
  chmod +x "$unpacked/$1"
}

by_debian() {
  command -v apt-get > /dev/null && command -v cargo > /dev/null || return 1
  local rustc linker
  local -a missing=()
  debian_rustc > /dev/null || missing+=(rustc-web rust-web-src)
  debian_linker > /dev/null || missing+=(lld-19)
  if (( ${#missing[@]} > 0 )); then
    apt-cache show "${missing[@]}" > /dev/null 2>&1 ||
      { [[ "$(id -u)" == 0 ]] && apt-get update >&2; }
    install_packages "${missing[@]}" || unpack_packages "${missing[@]}" || return 1
  fi
  rustc="$(debian_rustc)" && linker="$(debian_linker)" || return 1
  GUEST_ENV=(
    "RUSTC=$rustc"
    RUSTC_BOOTSTRAP=1
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker"
  )
  GUEST_CARGO=(-Zbuild-std=std,panic_abort)
  answer debian
}

case "$only" in
  "" | target | rustup | debian) ;;
  *)
    say "TURNPIKE_GUEST_TOOLCHAIN is '$only'; it may be target, rustup or debian"
    exit 2
    ;;
esac

if allowed target && by_target target; then exit; fi
if allowed rustup && by_rustup; then exit; fi
if allowed debian && by_debian; then exit; fi

cat >&2 <<'MESSAGE'
guests: there is no way to compile policies for wasm32-unknown-unknown here. One of these helps:
  - rustup target add wasm32-unknown-unknown
  - on Debian: apt-get install rustc-web rust-web-src lld-19
and then the same command again.
MESSAGE
exit 1
