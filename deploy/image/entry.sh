#!/bin/sh
# Starts one service: the image's only argument is its folder below services/.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
service=${1:-}
if [ ! -f "$here/app/services/$service/main.ts" ]; then
  echo "name a service: $(cd "$here/app/services" && echo */main.ts | sed 's|/main.ts||g')" >&2
  exit 64
fi
mkdir -p "$SUBTAXA_DATA/weights"
exec "$here/deno" run --quiet --allow-all --cached-only --no-lock --node-modules-dir=manual \
  --config "$here/app/deno.json" "$here/app/services/$service/main.ts"
