# Sourced by scripts/demo and scripts/test: makes .venv from requirements.lock, once, with uv where it is found, else pip.
# Afterwards $python is the interpreter in it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
python=$root/.venv/bin/python

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: Python 3.11 or newer is needed, and none was found on PATH" >&2
    return 1
}

make_environment() {
    local base stamp wanted
    stamp=$root/.venv/.made-from
    wanted=$(cat requirements.lock pyproject.toml | cksum)
    if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    base=$(find_python) || return 1
    echo "making .venv from requirements.lock (once)" >&2
    rm -rf "$root/.venv"
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$base" .venv &&
            uv pip install --quiet --python "$python" --require-hashes -r requirements.lock &&
            uv pip install --quiet --python "$python" --no-deps --no-build-isolation -e . || return 1
    else
        if ! "$base" -m venv .venv; then
            echo "error: $base cannot make a virtual environment; install its venv module (Debian: python3-venv) or uv" >&2
            return 1
        fi
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock &&
            "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || return 1
    fi
    echo "$wanted" >"$stamp"
}

make_environment || exit 1
