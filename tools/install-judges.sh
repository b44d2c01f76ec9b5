#!/bin/sh
# What judges our images: tools from Debian's packages, two that only Debian's sid has, and Python libraries in an environment of their own.
# Tools are installed as root on Debian; elsewhere the tests that need a missing one are skipped, and each says which it missed.
set -eu
cache=${MODELCRATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/modelcrate-tests}
here=$(dirname "$0")

tools() {
    packages="apache2-utils buildah catatonit chromium containerd crun docker-compose docker-registry docker.io fish flatbuffers-compiler golang-github-opencontainers-image-spec-dev jq libarchive-tools libonnx-testdata lintian man-db openssl podman qemu-user-static rsync runc skopeo systemd umoci zsh zstd"
    command -v npm >/dev/null || packages="$packages nodejs npm"
    missing=""
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || [ ! -f /etc/debian_version ]; then
        echo "not root on Debian: tests that need one of$missing are skipped"
        return 0
    fi
    echo "installing the tools that judge us:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq -y --no-install-recommends $missing >/dev/null || echo "some of them can't be had; their tests are skipped"
}

# cosign, crane and podman's quadlet, unpacked into the cache beside the C library that they want. apt holds them to the signed index of sid; its state
# is a folder of ours, so that the machine's own stays at its release. Copies of an index may be old: that is no harm to a judge.
sid() {
    [ ! -x "$cache/sid/bin/crane" ] || [ ! -x "$cache/sid/usr/libexec/podman/quadlet" ] || return 0
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    if ! command -v apt-get dpkg-deb >/dev/null || [ ! -f $keyring ] || [ "$(dpkg --print-architecture)" != amd64 ]; then
        echo "no apt for amd64: tests that need cosign or crane are skipped"
        return 0
    fi
    mirror=$(sed -n -E 's#^(URIs: *|deb (\[[^]]*\] )?)(https?://[^ ]*/debian)/?( .*)?$#\3#p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
    if [ -z "$mirror" ]; then
        echo "apt names no mirror of Debian: tests that need cosign or crane are skipped"
        return 0
    fi
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$cache"
    touch "$work/status"
    echo "deb [signed-by=$keyring] $mirror sid main" >"$work/sources.list"
    set -- -qq -o "Dir::State=$work" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o Dir::Etc::sourceparts=- \
        -o "Dir::Etc::sourcelist=$work/sources.list" -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o APT::Sandbox::User=root
    echo "fetching cosign, crane and quadlet from Debian's sid"
    if apt-get "$@" update && (cd "$work" && apt-get "$@" download cosign crane podman libc6); then
        for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
        rm -rf "$cache/sid" && mv "$work/root" "$cache/sid"
        [ -d "$cache/sid/bin" ] || mkdir "$cache/sid/bin"
        for tool in cosign crane; do
            library="$cache/sid/usr/lib/x86_64-linux-gnu"
            printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
                "$library/ld-linux-x86-64.so.2" "$library" "$cache/sid/usr/bin/$tool" >"$cache/sid/bin/$tool"
            chmod 755 "$cache/sid/bin/$tool"
        done
    else
        echo "sid can't be had; the tests of cosign and crane are skipped"
    fi
    rm -rf "$work"
}

# Other people's readers of what we write. uv, which we depend on, is told of the index that pip is configured for.
libraries() {
    [ ! -f "$cache/venv/.done-$(sha256sum "$here/judges.txt" | cut -c1-12)" ] || return 0
    echo "installing the libraries that judge us"
    index=$("$here/../.venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
    uv="$here/../.venv/bin/uv"
    if "$uv" venv --quiet --clear --python "$here/../.venv/bin/python" "$cache/venv" &&
        "$uv" pip install --quiet --python "$cache/venv/bin/python" ${index:+--default-index "$index"} --requirement "$here/judges.txt"; then
        touch "$cache/venv/.done-$(sha256sum "$here/judges.txt" | cut -c1-12)"
    else
        echo "they can't be had; their tests are skipped"
    fi
}

tools
sid
libraries
