#!/usr/bin/env bash
# The whole recipe on the embedded synthetic set: data, label vectors, joint and limb training, test, 2:3 fusion, report.
# Needs only Python 3.10 to 3.12 with pip; makes .venv on the first call and there runs `semloss quickstart .`
#   bash tools/quickstart.sh            about 8 minutes on two CPU cores; results in work_dirs/synthetic
#   bash tools/quickstart.sh --short    a tenth of the data for one epoch: shows that all runs, learns nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh

case "$*" in
    "" | --short) ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
setup_env .venv requirements/mmaction2.txt
exec "$PYTHON" -m pyskl_semloss quickstart . "$@"
