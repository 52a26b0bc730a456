#!/usr/bin/env bash
# Run the tests in an environment of their own, made on the first call.
#   bash tools/run_tests.sh [pytest arguments]             MMAction2, the pinned set (numpy 2), in .venv
#   bash tools/run_tests.sh --numpy1 [pytest arguments]    the same with numpy 1.26 and MediaPipe in .venv-numpy1
#   bash tools/run_tests.sh --host pyskl PATH_TO_PYSKL [pytest arguments]
#                                                          PySKL from its source in .venv-pyskl
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh

usage() { sed -n '3,6p' tools/run_tests.sh >&2; exit 2; }

host=mmaction2
if [ "${1:-}" = --host ]; then
    host=${2:-}
    [ $# -ge 2 ] || usage
    shift 2
fi
case $host in
    pyskl)
        [ $# -ge 1 ] || usage
        case $1 in /*) source=$1 ;; *) source=$here/$1 ;; esac
        shift
        setup_pyskl_env .venv-pyskl "$source" requirements/dev.txt
        ;;
    mmaction2)
        if [ "${1:-}" = --numpy1 ]; then
            shift
            setup_env .venv-numpy1 requirements/mmaction2-numpy1.txt requirements/video.txt requirements/dev.txt
            host="mmaction2 video"
        else
            setup_env .venv requirements/mmaction2.txt requirements/dev.txt
        fi
        ;;
    *) usage ;;
esac
# In this environment these are promised: a test that would skip for want of them fails.
# Two processes, each with a thread of its own for sums; -n among the arguments overrules it.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYSKL_SEMLOSS_HOST="$host"
case " $* " in *" --lf "* | *" --last-failed "* | *" --ff "* | *" --sw "*) exec "$PYTHON" -m pytest -n 2 "$@" ;; esac

# yapf, which the hosts import, writes its grammar below the home folder when it is first imported: not twice at once.
"$PYTHON" -c 'import yapf.yapflib.yapf_api' 2>/dev/null || true

# Some tests kill, stop and time real processes: where a few fail, they are repeated alone and named. A file that cannot
# be collected, whose name has no "::", is no such test: then none has run.
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
status=0
"$PYTHON" -m pytest -n 2 --dist worksteal -o cache_dir="$cache" "$@" || status=$?
if [ "$status" = 1 ] && failed=$("$PYTHON" -c 'import json, sys
names = list(json.load(open(sys.argv[1])))
print("\n".join(names))
sys.exit(len(names) > 5 or not all("::" in name for name in names))' "$cache/v/cache/lastfailed"); then
    echo "== failed in company, repeated alone; what passes now depends on the load of the machine:"
    echo "$failed"
    status=0
    "$PYTHON" -m pytest --last-failed -o cache_dir="$cache" || status=$?
fi
exit "$status"
