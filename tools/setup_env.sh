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
    local folder=$1 file stamp base
    local -a arguments=()
    shift
    PYTHON=$folder/bin/python
    # A copy of each file that was installed lies in the environment: what is new or has changed is installed.
    for file in "$@" setup.py; do
        stamp=$folder/.installed/${file//\//_}
        cmp --quiet "$file" "$stamp" || arguments+=("$file")
    done
    if [ -x "$PYTHON" ] && [ ${#arguments[@]} -eq 0 ]; then
        echo "Using the environment $folder."
        return
    fi
    if ! [ -x "$PYTHON" ]; then
        base=$(find_python) || return 1
        echo "Making the environment $folder with $("$base" --version)."
        "$base" -m venv "$folder" || return 1
    fi
    echo "Installing $* into $folder: up to 1 GB, a minute or more on the first call ..."
    arguments=()
    for file in "$@"; do arguments+=(-r "$file"); done
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "${arguments[@]}" -e . || {
        echo "error: the installation failed; the lines above say why. Run the same command again to retry." >&2
        return 1
    }
    mkdir -p "$folder/.installed"
    for file in "$@" setup.py; do cp "$file" "$folder/.installed/${file//\//_}"; done
}
