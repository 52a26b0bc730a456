#!/usr/bin/env bash
# Train with several processes, one for each GPU (or CPU processes under gloo where there is no GPU).
#   bash tools/dist_train.sh CONFIG PROCESSES [arguments of tools/train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and, if taken, PORT, and run it on each.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}" --nproc_per_node "$2" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}" \
    "$(dirname "${BASH_SOURCE[0]}")/train.py" "$1" --launcher pytorch "${@:3}"
