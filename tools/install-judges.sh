#!/bin/sh
# The tools that judge our images, from Debian's packages. As root on Debian they are installed; elsewhere the tests that
# need a missing one are skipped, and each says which it missed.
set -eu
packages="apache2-utils buildah containerd crun docker-registry docker.io golang-github-opencontainers-image-spec-dev jq libarchive-tools libonnx-testdata podman qemu-user-static runc skopeo umoci zstd"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || [ ! -f /etc/debian_version ]; then
    echo "not root on Debian: tests that need one of$missing are skipped"
    exit 0
fi
echo "installing the tools that judge us:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -qq -y --no-install-recommends $missing >/dev/null || echo "some of them can't be had; their tests are skipped"
