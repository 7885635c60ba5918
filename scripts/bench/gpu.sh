#!/usr/bin/env bash
# All benchmarks on a CUDA GPU, in two halves of less than 7 minutes each; each script writes its rows as they come:
#
#   scripts/bench/gpu.sh a                  # training: writes docs/benchmarks/<gpu>/*.json
#   scripts/bench/gpu.sh b                  # inference, scaling, data, metrics
#   scripts/bench/gpu.sh a --save FOLDER    # writes FOLDER/<gpu>/*.json
#   scripts/bench/gpu.sh a --device cpu --tiny --save /tmp/tried      # only shows that everything runs
#   scripts/bench/cuda_stub/run scripts/bench/gpu.sh a --tiny --save /tmp/tried      # likewise, the path for CUDA
#
# What is given after the half goes to every script, after what stands here. One that fails, or takes longer than its
# share of the time, is named, and the others go on; the exit status is then 1. PYTHON=... chooses the interpreter,
# PATIENCE=10 gives everything ten times as long. The checkout need not be installed.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=${PYTHON:-$(command -v python3 || command -v python)}
[ -z "${PYTHON:-}" ] && [ -x .venv/bin/python ] && python=.venv/bin/python
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
half=${1:-}
case $half in
  a | b) shift ;;
  *)
    echo "usage: scripts/bench/gpu.sh a|b [options for every script]" >&2
    exit 2
    ;;
esac
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

if [ "$half" = a ]; then
  bench 240 train_step --workers 8 --block 100 --rounds 3
  bench 110 csd_step --batch 16 --negatives 10 --rounds 5
  bench 60 fakd_step --cases 48:16:16 --rounds 5
else
  bench 100 infer --rounds 10
  bench 130 scaling --workers 8 --block 50
  bench 90 data --count 4 --rounds 2
  bench 90 metrics --rounds 3
fi

echo "== Then, for the tables: python scripts/bench/table.py"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
