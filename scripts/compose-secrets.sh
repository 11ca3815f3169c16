#!/usr/bin/env bash
# Makes the secrets that docker_compose/all-in-one.yaml mounts, where they are missing. Only their owner gets into the
# folder; the files themselves must be readable for the users inside the containers, whose numbers are others.
set -euo pipefail
cd "$(dirname "$0")/../docker_compose"

umask 077
mkdir -p secrets
chmod 700 secrets
for name in playback grafana; do
    [ -s "secrets/$name" ] && continue
    head -c 36 /dev/urandom | base64 | tr '+/' '-_' >"secrets/$name.new"
    chmod 444 "secrets/$name.new"
    mv "secrets/$name.new" "secrets/$name"
    echo "compose: made docker_compose/secrets/$name"
done
# The key to S3 is one that somebody else made; nothing reads it while OBJECTS is a folder.
if [ ! -e secrets/s3 ]; then
    printf '[default]\naws_access_key_id =\naws_secret_access_key =\n' >secrets/s3
    chmod 444 secrets/s3
fi
