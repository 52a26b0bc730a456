#!/usr/bin/env bash
# The whole recipe on the embedded synthetic set: data, label vectors, joint and limb training, test, 2:3 fusion, report.
# Needs only Python 3.10 to 3.12 with pip; makes .venv on the first call.
#   bash tools/quickstart.sh            about 10 minutes on two CPU cores; results in work_dirs/synthetic
#   bash tools/quickstart.sh --short    a tenth of the data for one epoch: shows that all runs, learns nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh

clips=1200
work=work_dirs/synthetic
train_options=()
case "${1:-}" in
    "") ;;
    --short) clips=120 work=work_dirs/synthetic_short train_options=(--epochs 1) ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
data=data/${work##*/}

step() { echo; echo "== $* ($((SECONDS / 60)) min $((SECONDS % 60)) s)"; }

setup_env .venv requirements/mmaction2.txt
export PYTHONWARNINGS=ignore

step "Data: $clips synthetic clips, 32 classes, no person both in training and test"
"$PYTHON" tools/prepare_data.py synthetic "$data/annotations.pkl" --clips "$clips"
step "Label vectors: offline hash vectors (class names that share words become neighbours, nothing more)"
"$PYTHON" tools/build_label_vectors.py --labels data/imigue_labels.txt --vectors hash --out "$data/label_vectors.npz"
for modality in joint limb; do
    config=configs/mmaction2/synthetic/$modality.py
    options=(
        train_dataloader.dataset.ann_file="$data/annotations.pkl" val_dataloader.dataset.ann_file="$data/annotations.pkl"
        test_dataloader.dataset.ann_file="$data/annotations.pkl" model.cls_head.label_vectors="$data/label_vectors.npz"
    )
    step "Training $modality"
    "$PYTHON" tools/train.py "$config" --work-dir "$work/$modality" "${train_options[@]}" --cfg-options "${options[@]}"
    step "Testing $modality"
    "$PYTHON" tools/test.py "$config" "$(cat "$work/$modality/last_checkpoint")" --work-dir "$work/$modality" \
        --cfg-options "${options[@]}"
done
step "Fusion, joint : limb = 2 : 3"
"$PYTHON" tools/fuse_scores.py "$work/joint/test_scores.npz" "$work/limb/test_scores.npz" --weights 2 3 \
    --out "$work/fusion/test_scores.npz"
step "Report"
"$PYTHON" tools/report.py "$work/joint" "$work/limb" --weights 2 3 --names data/imigue_labels.txt \
    --label-vectors "$data/label_vectors.npz" --ann-file "$data/annotations.pkl" --split test \
    --title "Synthetic gestures" --out "$work/report"
step "Done. Chance is 3.1 %. Scores, logs and checkpoints are in $work; open the report in a browser:"
echo "$PWD/$work/report/index.html"
