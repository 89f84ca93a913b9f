#!/usr/bin/env bash
# run_shard.sh SIM FIRST SEEDS: these seeds; one that fails says at which commit, and how to repeat it.
set -euo pipefail
cd "$(dirname "$0")"
exec "$1" --commit="$(GIT_OPTIONAL_LOCKS=0 git describe --always --dirty 2> /dev/null)" --first="$2" --seeds="$3"
