#!/usr/bin/env bash
# Run the tests in an environment of their own, made on the first call.
#   bash tools/run_tests.sh [pytest arguments]             the pinned set (numpy 2) in .venv
#   bash tools/run_tests.sh --numpy1 [pytest arguments]    the same with numpy 1.26 in .venv-numpy1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh

if [ "${1:-}" = --numpy1 ]; then
    shift
    setup_env .venv-numpy1 requirements/mmaction2-numpy1.txt requirements/dev.txt
else
    setup_env .venv requirements/mmaction2.txt requirements/dev.txt
fi
# In this environment MMAction2 is promised: a test that would skip for want of it fails.
PYSKL_SEMLOSS_HOST=mmaction2 exec "$PYTHON" -m pytest "$@"
