#!/usr/bin/env bash
# Runs one fuzzer for BIF_FUZZ_SECONDS (30): run_fuzzer.sh FUZZER OUT CORPUS
#
# What it finds new goes to OUT/corpus, and stays there for the next run. What it fails on goes to
# OUT/failures, and is printed with how to run it again. BIF_FUZZ_SEED repeats a run's choices.
set -euo pipefail
fuzzer=$1 out=$2 corpus=$3
mkdir -p "$out/corpus" "$out/failures"
[ -d "$corpus" ] || { echo "no corpus: $corpus" >&2; exit 1; }
status=0
"$fuzzer" -max_total_time="${BIF_FUZZ_SECONDS:-30}" -seed="${BIF_FUZZ_SEED:-0}" -timeout=20 \
  -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix="$out/failures/" \
  "$out/corpus" "$corpus" 2>&1 | tail -n 60 || status=$?
if [ $status != 0 ]; then
  echo "The input is in $out/failures. To run it again: $fuzzer FILE"
  echo "To make it small: $fuzzer -minimize_crash=1 -max_total_time=60 FILE"
fi
exit $status
