#!/usr/bin/env bash
# From a data set as it was downloaded to the submission, by pyskl_semloss/cli/reproduce.py; --help has the options.
#   bash tools/reproduce.sh imigue SRC [OPTIONS] [-- OPTIONS OF tools/train.py]
# Without PYTHON, the interpreter of your own environment, the environment .venv is made or reused.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
recipe=(-m pyskl_semloss.cli.reproduce --here "$here")

if [ -z "${PYTHON:-}" ]; then
    source tools/setup_env.sh
    base=.venv/bin/python
    [ -x "$base" ] || base=$(find_python)
    # Mistakes are told before an environment is made; the recipe itself needs nothing but Python.
    plan=$("$base" "${recipe[@]}" --dry-run "$@")
    case " $* " in
        *" --help "* | *" -h "* | *" --dry-run "*)
            base=$("$base" -c 'import sys; print(sys.executable)')
            echo "${plan//"$base"/.venv/bin/python}"
            exit ;;
    esac
    setup_env .venv requirements/mmaction2.txt
    vectors=$(sed -n 's/^# Stage .*: label vectors from //p' <<<"$plan")
    if ! [[ $vectors == hash* || -f $vectors ]] && ! "$PYTHON" -c 'import gensim' 2>/dev/null; then
        "$PYTHON" -m pip install --quiet --disable-pip-version-check -e '.[glove]'
    fi
fi
exec "$PYTHON" "${recipe[@]}" "$@"
