#!/bin/sh
# A pre-training of a given time on one machine: from a file of `minuend-train data pack` to an encoder in parts.
#
#   deploy/gpu/pretrain.sh PACK OUT MINUTES [options of pretrain, such as --recipe distil --init FOLDER]
#
# OUT gets files of at most 15 MiB. The run itself, with its checkpoint, stays in $RUN, so that
# `pretrain --resume` can continue it. $PYTHON is the interpreter. MINUTES are minutes of training; decoding and
# statistics come before. A machine without the teacher's package finds its files on PYTHONPATH.
set -eu
if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
pack=$1 out=$2 minutes=$3
shift 3
python=${PYTHON:-python3}
run=${RUN:-$(mktemp -d)}
root=$(cd "$(dirname "$0")/../.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
"$python" -m training.cli pretrain --data "$pack" --out "$run/run" --cache "$run/cache" --minutes "$minutes" "$@"
"$python" -m training.cli export-encoder "$run/run/checkpoint.pt" --out "$out"
echo "the run is in $run"
