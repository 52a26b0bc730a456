#!/usr/bin/env bash
# Sourced by quickstart.sh and run_tests.sh: makes or reuses a virtual environment with a tested set of packages.
#   setup_env FOLDER REQUIREMENTS...     afterwards $PYTHON is the environment's interpreter
# PYTHON_BIN names another Python than the first of python3.11, python3.12, python3.10, python3 that is 3.10 to 3.12.

find_python() {
    local candidate
    for candidate in ${PYTHON_BIN:-python3.11 python3.12 python3.10 python3}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: Python 3.10, 3.11 or 3.12 is needed, with pip and venv; set PYTHON_BIN to one." >&2
    return 1
}

setup_env() {
    local folder=$1 file stamp wanted base
    local -a arguments=()
    shift
    PYTHON=$folder/bin/python
    stamp=$folder/.installed
    wanted=$(cat "$@" setup.py | cksum)
    if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        echo "Using the environment $folder."
        return
    fi
    base=$(find_python) || return 1
    echo "Making the environment $folder with $("$base" --version), from $*: about 1 GB, a minute or more ..."
    "$base" -m venv --clear "$folder" || return 1
    for file in "$@"; do arguments+=(-r "$file"); done
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "${arguments[@]}" -e . || {
        echo "error: the installation failed; the lines above say why. Run the same command again to retry." >&2
        return 1
    }
    echo "$wanted" > "$stamp"
}
