#!/usr/bin/env bash
# Test with several processes, one for each GPU (or CPU processes under gloo where there is no GPU).
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of tools/test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and, if taken, PORT, and run it on each.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}" --nproc_per_node "$3" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}" \
    "$(dirname "${BASH_SOURCE[0]}")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
