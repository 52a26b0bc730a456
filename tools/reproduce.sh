#!/usr/bin/env bash
# From a data set as it was downloaded to the submission: annotations, label vectors, joint and limb training, tests,
# joint : limb = 2 : 3. The same command again goes on where it stopped; finished stages are skipped.
#   bash tools/reproduce.sh imigue SRC [OPTIONS] [-- OPTIONS OF tools/train.py]
#   bash tools/reproduce.sh smg SRC [OPTIONS] [-- OPTIONS OF tools/train.py]
# SRC is the folder of the raw CSV files, or that of the challenge kit's arrays (it has train_data.npy).
#   --gpus N           0: the CPU, for trying out; 1 (default); more: one process each
#   --paper            iMiGUE's kit exactly as the 2023 release used it, mistakes included: padded clips, *_paper.py
#   --split-file NAME=FILE, --subjects FILE    as for tools/prepare_data.py: the official lists of clips, of subjects
#   --partial, --labels-from 0|1    as for tools/prepare_data.py
#   --vectors SOURCE   word vectors: a file, a name of gensim's downloader (default glove-wiki-gigaword-300), or hash
#   --alias WORD=WORDS words in the place of one without a vector; may be repeated
#   --ids FILE         the official list of test ids: checked before training; the submission is put into its order
#   --work-dir DIR     keep everything there (default: data/NAME for the data, work_dirs/NAME for the rest)
#   --config-dir DIR   other configs, joint.py and limb.py (default: configs/mmaction2/NAME)
#   --dry-run          print every command and do nothing
# Without PYTHON, the interpreter of your own environment, the environment .venv is made or reused.
set -euo pipefail

here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
fail() { echo "error: $*" >&2; exit 2; }
from_here() { case $1 in /*) echo "$1" ;; *) if [ "$here" = "$PWD" ]; then echo "$1"; else echo "$here/$1"; fi ;; esac; }

gpus=1 paper='' vectors=glove-wiki-gigaword-300 ids='' chosen_dir='' config_dir='' dry_run=''
given=() splits=() lists=() aliases=() train_options=()
while [ $# -gt 0 ]; do
    case $1 in
        --gpus | --split-file | --subjects | --labels-from | --vectors | --alias | --ids | --work-dir | --config-dir)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --gpus) gpus=$2 ;;
                --split-file)
                    file=$(from_here "${2#*=}")
                    lists+=("$file")
                    splits+=(--split-file "${2%"${2#*=}"}$file") ;;
                --subjects) lists+=("$(from_here "$2")"); splits+=(--subjects "$(from_here "$2")") ;;
                --labels-from) splits+=(--labels-from "$2") ;;
                --vectors) vectors=$2 ;;
                --alias) aliases+=(--alias "$2") ;;
                --ids) ids=$(from_here "$2") ;;
                --work-dir) chosen_dir=$(from_here "$2") ;;
                --config-dir) config_dir=$(from_here "$2") ;;
            esac
            shift 2 ;;
        --partial) splits+=(--partial); shift ;;
        --paper) paper=_paper; shift ;;
        --dry-run) dry_run=1; shift ;;
        --help | -h) usage; exit ;;
        --) shift; train_options=("$@"); break ;;
        -*) usage >&2; fail "there is no option $1" ;;
        *) given+=("$1"); shift ;;
    esac
done
[ ${#given[@]} -eq 2 ] || { usage >&2; fail "expected a data set and its folder, got ${#given[@]} arguments"; }
set_name=${given[0]}
source=$(from_here "${given[1]%/}")
[[ $set_name == imigue || $set_name == smg ]] || fail "expected imigue or smg, got $set_name"
[[ $gpus =~ ^[0-9]+$ ]] || fail "--gpus: expected a number, got $gpus"
[ -d "$source" ] || fail "$source: there is no such folder"
for file in ${lists[@]+"${lists[@]}"} ${ids:+"$ids"}; do
    [ -f "$file" ] || fail "$file: there is no such file"
done
[ ! -f "$here/$vectors" ] || vectors=$(from_here "$vectors")

holds() { [ -n "$(find -L "$source" -maxdepth 4 -name "$1" -print -quit)" ]; }
case $set_name in
    imigue) raw='*_light_hand.csv' labels='*_label.csv' ;;
    smg) raw='*_skeleton.csv' labels='*_finelabels.csv' ;;
esac
if [ -f "$source/train_data.npy" ]; then
    converter=$set_name-kit form="the challenge kit's arrays" source_files=('*_data.npy' '*_label.pkl')
elif holds "$raw"; then
    converter=$set_name form="raw CSV files" source_files=("$raw" "$labels")
elif holds '*_light_hand.csv'; then
    fail "$source: these are iMiGUE's raw files (ID_light_hand.csv), not $set_name's"
elif holds '*_skeleton.csv'; then
    fail "$source: these are SMG's raw files (SampleNNNN_skeleton.csv), not $set_name's"
elif [ "$set_name" = imigue ]; then
    fail "$source: expected ID/ID_light_hand.csv (raw) or train_data.npy (kit); it has neither"
else
    fail "$source: expected SampleNNNN/SampleNNNN_skeleton.csv (raw) or train_data.npy (kit); it has neither"
fi
annotations=annotations.pkl padding=()
if [ -n "$paper" ]; then
    [ "$converter" = imigue-kit ] || fail "--paper needs iMiGUE's kit (train_data.npy), whose padding it repeats; in $source are $form of $set_name"
    annotations=annotations_padded90.pkl padding=(--keep-padding)
fi
config_dir=${config_dir:-configs/mmaction2/$set_name}
for modality in joint limb; do
    [ -f "$config_dir/$modality$paper.py" ] || fail "$config_dir/$modality$paper.py: there is no such config"
done
work=${chosen_dir:-work_dirs/$set_name$paper}
data=${chosen_dir:-data/$set_name}
annotations=$data/$annotations
label_vectors=$data/label_vectors.npz

stages=7
source tools/stages.sh

if [ -n "$dry_run" ]; then
    PYTHON=${PYTHON:-.venv/bin/python}
else
    if [ -z "${PYTHON:-}" ]; then
        source tools/setup_env.sh
        setup_env .venv requirements/mmaction2.txt
        if ! [[ $vectors == hash* || -f $vectors ]] && ! "$PYTHON" -c 'import gensim' 2>/dev/null; then
            "$PYTHON" -m pip install --quiet --disable-pip-version-check -e '.[glove]'
        fi
    fi
    visible=0
    [ "$gpus" -eq 0 ] || visible=$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())')
    [ "$visible" -ge "$gpus" ] || fail "--gpus $gpus: torch sees $visible here; --gpus 0 uses the CPU, which is for trying out"
    mkdir -p "$work/stages"
    exec 9>"$work/stages/lock"
    flock -n 9 || fail "another run is going on in $work"
    trap stopped EXIT
    # What the libraries say to programmers; our own warnings are shown.
    export PYTHONWARNINGS=ignore::DeprecationWarning,ignore::FutureWarning
fi
export PYTHON
echo "In $source are $form of $set_name."

# Beside the data, because both variants share the label vectors.
marks=$data/stages
inputs=("$source" ${lists[@]+"${lists[@]}"})
prepare_options=(${padding[@]+"${padding[@]}"} ${splits[@]+"${splits[@]}"})
name=${annotations##*/}
run_stage "${name%.pkl}" "annotations from $form" "$converter $source ${prepare_options[*]-}" "$annotations" \
    "$PYTHON" tools/prepare_data.py "$converter" "$source" "$annotations" \
    ${prepare_options[@]+"${prepare_options[@]}"}

if [ -n "$ids" ]; then
    # Else a wrong list would be told when all is trained and tested.
    check=("$PYTHON" tools/prepare_data.py ids "$annotations" "$ids" --split test)
    title="the official ids"
    if [ -n "$dry_run" ]; then echo "# Check: $title"; show "${check[@]}"; else "${check[@]}"; fi
fi

# Every word of iMiGUE's names has a GloVe vector. SMG's have rare ones; what is left out is said and stands in the file.
missing_words=()
[ "$set_name" = imigue ] || missing_words=(--oov skip)
inputs=("data/${set_name}_labels.txt")
[ ! -f "$vectors" ] || inputs+=("$vectors")
run_stage label_vectors "label vectors from $vectors" "$vectors ${aliases[*]-}" "$label_vectors" \
    "$PYTHON" tools/build_label_vectors.py --labels "data/${set_name}_labels.txt" --vectors "$vectors" \
    --out "$label_vectors" ${aliases[@]+"${aliases[@]}"} ${missing_words[@]+"${missing_words[@]}"}

settings=(--cfg-options
    train_dataloader.dataset.ann_file="$annotations" val_dataloader.dataset.ann_file="$annotations"
    test_dataloader.dataset.ann_file="$annotations" model.cls_head.label_vectors="$label_vectors")
python_here=("$PYTHON")
[ "$gpus" -gt 0 ] || python_here=(env CUDA_VISIBLE_DEVICES=-1 "$PYTHON")

marks=$work/stages
inputs=("$annotations" "$label_vectors")
declare -A config_key
for modality in joint limb; do
    config=$config_dir/$modality$paper.py
    # With the configs below them, whoever wrote those in $config_dir.
    config_key[$modality]="$config $(cat configs/mmaction2/_base_/*.py configs/mmaction2/"$set_name"/"$modality"*.py \
        "$config_dir"/{joint,"$modality","$modality$paper"}.py | sha256sum)"
    if [ "$gpus" -le 1 ]; then
        launch=("${python_here[@]}" tools/train.py "$config")
    else
        launch=(bash tools/dist_train.sh "$config" "$gpus")
    fi
    run_stage "train_$modality" "training $modality" "${config_key[$modality]} ${train_options[*]-}" \
        "$work/$modality/last_checkpoint" "${launch[@]}" --work-dir "$work/$modality" --resume "${settings[@]}" \
        ${train_options[@]+"${train_options[@]}"}
done

tested=()
for modality in joint limb; do
    config=$config_dir/$modality$paper.py
    last=$work/$modality/last_checkpoint
    # The release tested its best checkpoint on the validation split; otherwise the last one is tested.
    best=$work/$modality/'best_acc_top1_epoch_*.pth'
    if [ -n "$dry_run" ] && [ -n "$paper" ]; then
        checkpoint="\"\$(ls -t $best | head -n 1)\""
    elif [ -n "$dry_run" ]; then
        checkpoint="\"\$(cat $last)\""
    elif ! { [ -n "$paper" ] && checkpoint=$(newest "$best"); }; then
        checkpoint=$(<"$last")
    fi
    tested+=("$checkpoint")
    if [ "$gpus" -le 1 ]; then
        launch=("${python_here[@]}" tools/test.py "$config" "$checkpoint")
    else
        launch=(bash tools/dist_test.sh "$config" "$checkpoint" "$gpus")
    fi
    inputs=("$annotations" "$label_vectors" "$checkpoint")
    run_stage "test_$modality" "testing $modality" "${config_key[$modality]} ${checkpoint##*/}" \
        "$work/$modality/test_scores.npz" "${launch[@]}" --work-dir "$work/$modality" \
        --out "$work/$modality/test_scores.npz" "${settings[@]}"
done

scores=("$work/joint/test_scores.npz" "$work/limb/test_scores.npz")
inputs=("${scores[@]}")
official=()
[ -z "$ids" ] || { inputs+=("$ids"); official=(--ids "$ids"); }
log=$work/fusion/table.txt
run_stage fusion "fusion, joint : limb = 2 : 3, and submission" "2 3 ${official[*]-}" "$work/fusion/Submission.zip" \
    "$PYTHON" tools/fuse_scores.py "${scores[@]}" --weights 2 3 --out "$work/fusion/test_scores.npz" \
    --submission "$work/fusion/Submission.zip" ${official[@]+"${official[@]}"}
[ -z "$dry_run" ] || exit 0

echo
echo "== Done ($(elapsed))"
cat "$log"
echo "submission     $work/fusion/Submission.zip"
echo "table, scores  $log, $work/{joint,limb,fusion}/test_scores.npz"
echo "checkpoints    ${tested[0]}, ${tested[1]}"
echo "data           $annotations (a summary beside it), $label_vectors"
