#!/bin/sh
# Installs the clients that the tests drive, by name and at pinned versions, from the registries
# that pip and npm are set up for: setup.sh [FOLDER]
#
# Prints three folders: the Python environment, that of LlamaIndex, and the folder of the Node
# packages. Each is named after a hash of what is in it, so that a run with the same files
# installs nothing, and several checkouts share one. FOLDER is the user's cache if not given.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/turnpike/clients}
# What the clients run on; older ones are refused by some package in the middle of a test.
python_minor_min=10
node_major_min=20

missing() {
    echo "the clients can't be installed: $*" >&2
    exit 1
}

# Debian splits some of this off; as root it is installed, anybody else is told its name.
install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $*" >&2
        apt-get update -qq >&2 && apt-get install -y -qq "$@" >/dev/null
    fi
}

hash_of() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-16
}

need_python() {
    command -v python3 >/dev/null || install python3 python3-venv
    command -v python3 >/dev/null ||
        missing "python3 is not there (Debian: apt-get install python3 python3-venv)"
    python3 -c "import sys; sys.exit(sys.version_info < (3, $python_minor_min))" ||
        missing "python3 is older than 3.$python_minor_min"
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        missing "python3 can't make a virtual environment (Debian: apt-get install python3-venv)"
}

need_node() {
    command -v npm >/dev/null || install nodejs npm
    command -v node >/dev/null && command -v npm >/dev/null ||
        missing "node and npm are not there; version $node_major_min or newer is needed"
    node -e "process.exit(parseInt(process.versions.node) < $node_major_min ? 1 : 0)" ||
        missing "node is $(node --version); version $node_major_min or newer is needed"
}

# Makes the folder $1 with the command that follows, unless it is there and whole.
once() {
    made=$1
    shift
    if [ ! -f "$made/.complete" ]; then
        echo "installing into $made" >&2
        rm -rf "$made"
        "$@" >&2
        touch "$made/.complete"
    fi
    echo "$made"
}

python_environment() {
    python3 -m venv "$made"
    # The lock is complete: without a search for versions it takes a minute less.
    "$made/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$1"
}

node_packages() {
    mkdir -p "$made"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$made"
    # No package's script is run but the one that puts the program `claude` into its place.
    (cd "$made" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error &&
        node node_modules/@anthropic-ai/claude-code/install.cjs)
}

mkdir -p "$folder"
need_python
need_node
# Tests start this at the same time; the second waits and finds everything there.
if command -v flock >/dev/null; then
    exec 9>"$folder/.lock"
    flock 9
fi
for name in requirements requirements-llama-index; do
    lock=$here/python/$name.lock
    hash=$({ python3 -c 'import sys; print(sys.version, sys.prefix)'; cat "$lock"; } | hash_of)
    once "$folder/python-$hash" python_environment "$lock"
done
hash=$({ node -p process.arch+process.platform; cat "$here"/node/package*.json; } | hash_of)
once "$folder/node-$hash" node_packages
# Node looks for packages beside the script, and nowhere else where modules are imported.
ln -sfn "$folder/node-$hash/node_modules" "$here/node/node_modules"
