#!/usr/bin/env bash
# What `analyze` and `ablate` cost beside the forward pass that each holds, measured through the
# program.
#
# usage: benchmarks/analysis_cost.sh MODEL PHOTOS N_IMAGES REPEATS LAYERS...
#
# Repeats the photos of a folder until there are N_IMAGES, in 10 class folders, then runs `encode`,
# `analyze` of each choice of layers and `ablate` of what that found by turns, decoding included in
# all of them, and prints the seconds, their median over that of `encode`, and the peak resident
# memory. The classifier of `ablate` is the representations of 10 photos.
set -euo pipefail
solens=${SOLENS:-build/release/bin/solens}
model=$1 photos=$2 n=$3 repeats=$4
shift 4
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
work=$(mktemp -d "${TMPDIR:-/tmp}/solens-cost-XXXXXX")
trap 'rm -rf "$work"' EXIT

mapfile -t files < <(find "$(realpath "$photos")" -type f | sort)
for ((i = 0; i < 10; ++i)); do mkdir -p "$work/photos/$i"; done
for ((i = 0; i < n; ++i)); do
  file=${files[i % ${#files[@]}]}
  ln -s "$file" "$work/photos/$((i % 10))/$i.${file##*.}"
done

# Seconds and peak kilobytes of a call, appended to the file named first.
measure() {
  local to=$1
  shift
  /usr/bin/time -f '%e %M' -a -o "$to" "$@" --images "$work/photos" --quiet
}

# The first rows of an .npy of float32 [rows, width] as an .npy [width, rows]: the same bytes in
# Fortran order.
first_columns() {
  local start width header
  start=$((10 + $(od -An -tu2 -j8 -N2 "$1")))
  width=$(head -c "$start" "$1" | tail -c +11 | sed -n 's/.*([0-9]*, \([0-9]*\)).*/\1/p')
  header="{'descr': '<f4', 'fortran_order': True, 'shape': ($width, $2), }"
  printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header"
  head -c $((start + 4 * width * $2)) "$1" | tail -c $((4 * width * $2))
}

for ((r = 0; r < repeats; ++r)); do
  measure "$work/encode" "$solens" encode --model "$model" --out "$work/encode.npy"
  [ -e "$work/classes.npy" ] || first_columns "$work/encode.npy" 10 >"$work/classes.npy"
  for layers in "$@"; do
    rm -rf "$work/run"
    measure "$work/analyze $layers" "$solens" analyze --model "$model" --layers "$layers" \
      --out "$work/run"
    measure "$work/ablate $layers" "$solens" ablate --run "$work/run" --labels folders \
      --classifier "$work/classes.npy" --out "$work/ablation.json"
    echo "analyze $layers left $(du -sb "$work/run" | cut -f1) bytes"
  done
done | sort -u

median() { cut -d' ' -f1 "$1" | sort -n | awk '{x[NR] = $1} END {print x[int((NR + 1) / 2)]}'; }
base=$(median "$work/encode")
for of in "$work/encode" "$work"/analyze* "$work"/ablate*; do
  m=$(median "$of")
  awk -v of="${of##*/}" -v m="$m" -v n="$n" -v base="$base" -v all="$(cut -d' ' -f1 "$of" | xargs)" \
    '{if ($2 > peak) peak = $2}
     END {printf "%-20s median %.1f s  %.1f images/s  ratio %.3f  peak %d MB  all: %s\n",
                 of, m, n / m, m / base, peak / 1024, all}' "$of"
done
