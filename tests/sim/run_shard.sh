#!/bin/sh
# run_shard.sh SIM FIRST SEEDS: these seeds; one that fails says at which commit, and how to repeat it.
cd "$(dirname "$0")" || exit 1
exec "$1" --commit="$(GIT_OPTIONAL_LOCKS=0 git describe --always --dirty 2> /dev/null)" --first="$2" --seeds="$3"
