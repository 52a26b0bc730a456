#!/usr/bin/env bash
# Sourced by reproduce.sh: stages that run once, can be interrupted, and run again when what they depend on is another.
# It reads $marks (a folder), $stages (their number) and $dry_run, and for the stage at hand $inputs (files; folders, of which the
# names in $source_files count) and $log (a file for what it prints, or nothing).
#   run_stage NAME TITLE KEY OUTPUT COMMAND...      a NAME train_... is gone on with where it was interrupted
# $marks/NAME.done holds the state of the run that ended, NAME.started that of one that was interrupted: the KEY, and the
# SHA-256 of every input as it was when it began, so that dates do not count.

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

# The SHA-256 of a file, or of all that counts in a folder, into $hash; none is read twice between two stages that run.
declare -A hashed=()
hash_of() {
    local name names=()
    hash=${hashed[$1]:-}
    [ -z "$hash" ] || return 0
    if [ -d "$1" ]; then
        for name in "${source_files[@]}"; do names+=(-o -name "$name"); done
        hash=$(cd "$1" && find -L . -type f \( "${names[@]:1}" \) -print0 | sort -z | xargs -0 -r sha256sum | sha256sum)
    elif [ -e "$1" ]; then
        hash=$(sha256sum <"$1")
    else
        hash=absent
    fi
    hashed[$1]=$hash
}

# KEY: what the stage at hand depends on, into $state.
find_state() {
    local input hash
    state=$1
    for input in ${inputs[@]+"${inputs[@]}"}; do
        hash_of "$input"
        state+=$'\n'"${hash%% *} $input"
    done
}

# MARK: was a run begun, or ended, in the state of now?
holds_for() { [ -f "$1" ] && [ "$(<"$1")" = "$state" ]; }

# A training that began under other conditions is not gone on with, and not deleted either.
prepare_training() {
    local mark=$1 folder=$2
    if ! holds_for "$mark"; then
        rm -f "$mark"
        [ -d "$folder" ] || return 0
        echo "$folder was made with other settings or from other data: it is kept as $folder.before-$stamp."
        mv "$folder" "$folder.before-$stamp"
    elif [ -f "$folder/last_checkpoint" ] && ! [ -f "$(<"$folder/last_checkpoint")" ]; then
        # It is written after the checkpoint that it names; a kill in between leaves it empty.
        newest "$folder/epoch_*.pth" >"$folder/last_checkpoint" || rm "$folder/last_checkpoint"
    fi
}

run_stage() {
    local name=$1 key=$3 output=$4 mark=$marks/$1 state
    title=$2
    shift 4
    stage=$((stage + 1))
    if [ -n "$dry_run" ]; then
        echo "# Stage $stage/$stages: $title"
        show "$@"
        return
    fi
    echo
    find_state "$key"
    if [ -e "$output" ] && holds_for "$mark.done"; then
        echo "== Stage $stage/$stages: $title: finished before, skipped"
        return
    fi
    echo "== Stage $stage/$stages: $title ($(elapsed))"
    mkdir -p "$marks"
    rm -f "$mark.done"
    case $name in
        train_*) prepare_training "$mark.started" "${output%/*}" ;;
        *) rm -f "$mark.started" ;;
    esac
    [ -f "$mark.started" ] || echo "$state" >"$mark.started"
    hashed=()
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
