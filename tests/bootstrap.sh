# Sourced from the top of the repository: installs the Debian packages in tests/packages*.txt and
# $more_packages, and leaves in $venv a virtual environment of the system's python3 with
# $requirements.

[ "$(id -u)" = 0 ] || { echo "Run this as root." >&2; exit 2; }

: "${requirements:=tests/requirements.txt}"
export XCATHA_TEST_CACHE="${XCATHA_TEST_CACHE:-/var/cache/xcatha-tests}"
mkdir -p "$XCATHA_TEST_CACHE"

missing_packages() {
    sed 's/#.*//' tests/packages*.txt ${more_packages:-} | tr -s ' ' '\n' | sed '/^$/d' | while read -r package; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || echo "$package"
    done
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update </dev/null
    apt-get -qq install --no-install-recommends "$@" </dev/null >"$XCATHA_TEST_CACHE/apt.log" 2>&1 ||
        { cat "$XCATHA_TEST_CACHE/apt.log" >&2; return 1; }
}

build_venv() {
    aside=$(mktemp -d "$XCATHA_TEST_CACHE/building.XXXXXX")
    chmod 755 "$aside"  # some tests run the script as another user
    /usr/bin/python3 -m venv "$aside"
    "$aside/bin/python" -m pip install -qq -r "$requirements" </dev/null
    # Losing a race against another run is no failure: its environment serves as well.
    mv -T "$aside" "$1" 2>/dev/null || rm -rf "$aside"
}

packages=$(missing_packages)
if [ -n "$packages" ]; then
    echo "Installing:" $packages >&2
    install_packages $packages
fi

venv="$XCATHA_TEST_CACHE/venv-$(cat "$requirements" tests/unit/requirements.txt | sha256sum | cut -c1-12)"
if [ ! -d "$venv" ]; then
    echo "Building $venv" >&2
    build_venv "$venv"
fi
