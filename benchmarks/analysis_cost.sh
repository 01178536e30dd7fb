#!/usr/bin/env bash
# What `analyze` costs beside the forward pass that it holds, measured through the program.
#
# usage: benchmarks/analysis_cost.sh MODEL PHOTOS N_IMAGES REPEATS LAYERS...
#
# Repeats the photos of a folder until there are N_IMAGES, then runs `encode` and `analyze` of each
# choice of layers by turns, decoding included in all of them, and prints the seconds, their median
# over that of `encode`, and the peak resident memory.
set -euo pipefail
solens=${SOLENS:-build/release/bin/solens}
model=$1 photos=$2 n=$3 repeats=$4
shift 4
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
work=$(mktemp -d "${TMPDIR:-/tmp}/solens-cost-XXXXXX")
trap 'rm -rf "$work"' EXIT

mapfile -t files < <(find "$(realpath "$photos")" -type f | sort)
for ((i = 0; i < n; ++i)); do echo "${files[i % ${#files[@]}]}"; done >"$work/list.txt"

# Seconds and peak kilobytes of a call, appended to the file named first.
measure() {
  local to=$1
  shift
  /usr/bin/time -f '%e %M' -a -o "$to" "$@" --model "$model" --images "$work/list.txt" --quiet
}

for ((r = 0; r < repeats; ++r)); do
  measure "$work/encode" "$solens" encode --out "$work/encode.npy"
  for layers in "$@"; do
    rm -rf "$work/run"
    measure "$work/analyze $layers" "$solens" analyze --layers "$layers" --out "$work/run"
    echo "analyze $layers left $(du -sb "$work/run" | cut -f1) bytes"
  done
done | sort -u

median() { cut -d' ' -f1 "$1" | sort -n | awk '{x[NR] = $1} END {print x[int((NR + 1) / 2)]}'; }
base=$(median "$work/encode")
for of in "$work/encode" "$work"/analyze*; do
  m=$(median "$of")
  awk -v of="${of##*/}" -v m="$m" -v n="$n" -v base="$base" -v all="$(cut -d' ' -f1 "$of" | xargs)" \
    '{if ($2 > peak) peak = $2}
     END {printf "%-20s median %.1f s  %.1f images/s  ratio %.3f  peak %d MB  all: %s\n",
                 of, m, n / m, m / base, peak / 1024, all}' "$of"
done
