# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
# Debian packages that building and testing need, and a function that sees that they are there. To be sourced.

ums_build_packages="g++ cmake ninja-build pkg-config libcurl4-openssl-dev libyaml-dev libfmt-dev libcli11-dev
    libgmime-3.0-dev libre2-dev libexpat1-dev libsmbclient-dev libhowardhinnant-date-dev libphonenumber-dev
    tzdata"
ums_test_packages="catch2 nlohmann-json3-dev python3-minimal libpython3-stdlib apache2-bin apache2-utils nginx-light
    libnginx-mod-http-dav-ext lighttpd lighttpd-mod-webdav lighttpd-mod-openssl rclone samba smbclient postfix
    dovecot-core dovecot-lmtpd openssl curl mandoc shellcheck fish zsh strace dpkg-dev fakeroot e2fsprogs xfsprogs btrfs-progs
    graphviz spin gcc nftables iproute2 util-linux mount"
ums_long_packages="clang clang-tidy clang-format libclang-rt-14-dev valgrind"
ums_bench_packages="procmail maildrop fdm dovecot-core dovecot-sieve lftp curl rclone smbclient samba apache2-bin nginx-light
    libnginx-mod-http-dav-ext"

# ums_need PACKAGE...: installs what is missing; says clearly what to do where it cannot.
ums_need() {
    local package missing="" as_root=""
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
        echo "This is no Debian system: apt-get is missing, so nothing is installed here. These must be there" >&2
        echo "(names as in Debian 12): $*" | tr -s ' \n' ' ' >&2
        echo >&2
        command -v cmake >/dev/null && command -v ninja >/dev/null && command -v c++ >/dev/null && return 0
        echo "At least cmake, ninja and c++ are not there; install the packages and try again." >&2
        return 1
    fi
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "These packages are missing, and neither root nor sudo is there to install them:$missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "Installing:$missing" >&2
    # The tests start servers of their own; the packages' must stay off. RUNLEVEL=1 keeps invoke-rc.d from starting them.
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends $missing >&2 ||
        { $as_root apt-get update >&2 &&
          $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends $missing >&2; } ||
        { echo "These packages could not be installed:$missing" >&2; return 1; }
}
