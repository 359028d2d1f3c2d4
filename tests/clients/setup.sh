#!/bin/sh
# Makes a Python environment with the clients that the tests drive: setup.sh FOLDER
# A second run with the same requirements does nothing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: setup.sh FOLDER}
done_mark="$folder/requirements.txt"

if cmp -s "$here/requirements.txt" "$done_mark"; then
    exit 0
fi
python=$(command -v python3) || {
    echo "python3 is missing: install it (Debian: apt-get install python3 python3-venv)" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian splits this off; as root it is installed, as anybody else it has to be asked for.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    else
        echo "python3 can't make a virtual environment: install the package python3-venv" >&2
        exit 1
    fi
fi
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
    -r "$here/requirements.txt"
cp "$here/requirements.txt" "$done_mark"
