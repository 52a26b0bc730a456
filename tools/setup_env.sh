#!/usr/bin/env bash
# Sourced by quickstart.sh and run_tests.sh: makes or reuses a virtual environment with a tested set of packages.
#   setup_env FOLDER REQUIREMENTS...                         afterwards $PYTHON is the environment's interpreter
#   setup_pyskl_env FOLDER PATH_TO_PYSKL [REQUIREMENTS...]   the same with PySKL, whose folder stays as it is
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
    echo "Installing $* into $folder: 2 to 3 GB of disk, a minute or more on the first call ..."
    arguments=()
    for file in "$@"; do arguments+=(-r "$file"); done
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "${arguments[@]}" -e . || {
        echo "error: the installation failed; the lines above say why. Run the same command again to retry." >&2
        return 1
    }
    mkdir -p "$folder/.installed"
    for file in "$@" setup.py; do cp "$file" "$folder/.installed/${file//\//_}"; done
}

setup_pyskl_env() {
    local folder=$1 source=$2 site torch vision
    shift 2
    if ! [ -f "$source/pyskl/__init__.py" ]; then
        echo "error: '$source' is not PySKL's source: there is no pyskl/__init__.py in it." >&2
        return 1
    fi
    setup_env "$folder" requirements/pyskl.txt "$@" || return 1
    if ! "$PYTHON" -c 'import mmcv, torchvision' 2>/dev/null; then
        # On a CPU build of torch only torchvision up to 0.16 can be imported, elsewhere the one that fits torch.
        # Named beside it, torch stays: on its own pip takes the newest torchvision and another torch with it.
        torch=$("$PYTHON" -c 'import torch; print(torch.__version__)')
        case $torch in
            *+cpu) vision='--no-deps torchvision==0.16.2' ;;
            *) vision="torchvision torch==${torch%%+*}" ;;
        esac
        echo "Installing mmcv 1.7.2 and torchvision into $folder ..."
        # shellcheck disable=SC2086
        "$PYTHON" -m pip install --quiet --disable-pip-version-check $vision &&
            MMCV_WITH_OPS=0 "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-build-isolation mmcv==1.7.2 || {
            echo "error: the installation failed; the lines above say why. Run the same command again to retry." >&2
            return 1
        }
    fi
    site=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    (cd "$source" && pwd) >"$site/pyskl.pth"
}
