#!/usr/bin/env bash
# All benchmarks on a CUDA GPU, one after the other, in less than 10 minutes:
#
#   scripts/bench/gpu.sh                    # writes docs/benchmarks/<gpu>/*.json
#   scripts/bench/gpu.sh --save FOLDER      # writes FOLDER/<gpu>/*.json
#   scripts/bench/gpu.sh --device cpu --tiny --save /tmp/tried      # only shows that everything runs
#
# What is given goes to every script, after what stands here. One that fails, or takes longer than its share of the ten
# minutes, is named, and the others go on; the exit status is then 1. PYTHON=... chooses the interpreter, PATIENCE=10 gives
# everything ten times as long.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=${PYTHON:-python}
[ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ] && python=.venv/bin/python
given=("$@")
failed=()

bench() { # seconds, script, its options
  local limit=$(($1 * ${PATIENCE:-1})) script=$2 status
  shift 2
  echo "== $script.py, at most $limit s"
  timeout --kill-after=15 "$limit" "$python" "scripts/bench/$script.py" --device cuda --save "$@" ${given[@]+"${given[@]}"}
  status=$?
  if [ $status -ne 0 ]; then
    failed+=("$script (exit status $status)")
    echo "== $script.py failed: exit status $status" >&2
  fi
}

bench 125 train_step --workers 8 --block 100 --rounds 3
bench 55 csd_step --batch 16 --negatives 10 --rounds 5
bench 35 fakd_step --cases 48:16:16 --rounds 5
bench 95 infer --rounds 15
bench 75 data --count 4 --rounds 3
bench 45 metrics --rounds 7
bench 150 scaling --workers 8 --block 50

echo "== Then, for the tables: python scripts/bench/table.py"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
