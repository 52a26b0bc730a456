#!/usr/bin/env bash
# Sourced by reproduce.sh: stages that run once, can be interrupted, and run again when what they depend on is newer.
# It reads $marks (a folder), $stages (their number) and $dry_run, and for the stage at hand $inputs (files; folders, of which the
# names in $source_files count) and $log (a file for what it prints, or nothing).
#   run_stage NAME TITLE KEY OUTPUT COMMAND...      a NAME train_... is gone on with where it was interrupted
# $marks/NAME.done holds the KEY of the run that ended, NAME.started that of one that was interrupted; both have
# the time of its start, so that what changed while it ran is newer.

stage=0 title='' inputs=() log=''
stamp=$(date +%Y%m%d-%H%M%S)

elapsed() { echo "$((SECONDS / 3600)) h $((SECONDS / 60 % 60)) min $((SECONDS % 60)) s"; }

# One command as it could be typed; a "$(...)" that is found out only when it runs stands there as it is.
show() {
    local word line=''
    for word in "$@"; do
        case $word in '"$('*) ;; *) word=$(printf %q "$word") ;; esac
        line+="$word "
    done
    echo "${line% }"
}

# The newest of the files that a pattern names; fails if there is none.
newest() {
    local -a found
    mapfile -t found < <(compgen -G "$1")
    [ ${#found[@]} -gt 0 ] && ls -t -- "${found[@]}" | head -n 1
}

# MARK KEY: was a run with this key begun, and is no input newer than its beginning?
holds_for() {
    local input name
    [ -f "$1" ] && [ "$(<"$1")" = "$2" ] || return 1
    for input in ${inputs[@]+"${inputs[@]}"}; do
        if [ -d "$input" ]; then
            for name in "${source_files[@]}"; do
                [ -z "$(find -L "$input" -name "$name" -newer "$1" -print -quit)" ] || return 1
            done
        elif [ "$input" -nt "$1" ]; then
            return 1
        fi
    done
}

# A training that began under other conditions is not gone on with, and not deleted either.
prepare_training() {
    local mark=$1 key=$2 folder=$3
    if ! holds_for "$mark" "$key"; then
        rm -f "$mark"
        [ -d "$folder" ] || return 0
        echo "$folder was made with other settings or from older data: it is kept as $folder.before-$stamp."
        mv "$folder" "$folder.before-$stamp"
    elif [ -f "$folder/last_checkpoint" ] && ! [ -f "$(<"$folder/last_checkpoint")" ]; then
        # It is written after the checkpoint that it names; a kill in between leaves it empty.
        newest "$folder/epoch_*.pth" >"$folder/last_checkpoint" || rm "$folder/last_checkpoint"
    fi
}

run_stage() {
    local name=$1 key=$3 output=$4 mark=$marks/$1
    title=$2
    shift 4
    stage=$((stage + 1))
    if [ -n "$dry_run" ]; then
        echo "# Stage $stage/$stages: $title"
        show "$@"
        return
    fi
    echo
    if [ -e "$output" ] && holds_for "$mark.done" "$key"; then
        echo "== Stage $stage/$stages: $title: finished before, skipped"
        return
    fi
    echo "== Stage $stage/$stages: $title ($(elapsed))"
    mkdir -p "$marks"
    rm -f "$mark.done"
    case $name in
        train_*) prepare_training "$mark.started" "$key" "${output%/*}" ;;
        *) rm -f "$mark.started" ;;
    esac
    [ -f "$mark.started" ] || echo "$key" >"$mark.started"
    show "$@"
    if [ -n "$log" ]; then
        mkdir -p "${log%/*}"
        "$@" >"$log.part"
        mv "$log.part" "$log"
    else
        "$@"
    fi
    [ -e "$output" ] || { echo "error: it ended, but there is no $output" >&2; exit 1; }
    mv "$mark.started" "$mark.done"
}

stopped() {
    local status=$?
    if [ $status -ne 0 ] && [ $stage -gt 0 ]; then
        echo "Stopped in stage $stage/$stages ($title) after $(elapsed). The same command goes on from there." >&2
    fi
}
