# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the programs of this folder share: talking to a person, and getting the packages. Sourced, never run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
started=$SECONDS

# The one list of Debian packages: what a build needs, and what the checks need beyond that.
build_packages=(gcc libc6-dev meson ninja-build pkg-config python3 libhyperscan-dev libpcre2-dev libssl-dev libpcap-dev
	libyaml-dev libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev libsqlite3-dev libgnutls28-dev zlib1g-dev libbrotli-dev liblzma-dev libxxhash-dev libmaxminddb-dev libcap-ng-dev
	libseccomp-dev libcmocka-dev
	clang bpftool libbpf-dev libxdp-dev libmnl-dev libnetfilter-queue-dev linux-libc-dev libdpdk-dev)
check_packages=(clang-format-14 libclang-rt-14-dev libasan8 libubsan1 python3-yaml)
# The hosts of the lab (tests/inline): how the network is made, and the real servers and clients in it.
lab_packages=(iproute2 ethtool iptables)
host_packages=(nginx-light curl dnsmasq-base bind9-dnsutils openssh-server openssh-client openssl)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' yellow='' plain=''
fi

say() { printf '%s==>%s %s%s%s\n' "$green" "$plain" "$bold" "$*" "$plain"; }
note() { printf '    %s\n' "$*"; }
# fail WHAT WHAT-TO-DO
fail() {
	printf '%sfailed:%s %s\n' "$red" "$plain" "$1" >&2
	[ $# -lt 2 ] || printf '%sto do: %s %s\n' "$yellow" "$plain" "$2" >&2
	exit 1
}

# install_packages NAME... : only what is missing; says what.
install_packages() {
	local missing=() name log
	command -v dpkg-query >/dev/null || fail "this is no Debian (no dpkg)" \
		"run it on Debian 12, or install these by hand: $*"
	for name; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	if [ ${#missing[@]} -eq 0 ]; then
		note "all $# packages are there"
		return
	fi
	note "installing: ${missing[*]}"
	[ "$(id -u)" = 0 ] || fail "packages are missing, and only root may install them" \
		"run this program as root once, or: apt-get install ${missing[*]}"
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	# Servers are installed for their programs: none is to start because of that.
	local quiet=/usr/sbin/policy-rc.d
	if [ -e $quiet ]; then quiet=''; else
		printf '#!/bin/sh\nexit 101\n' >$quiet
		chmod +x $quiet
		trap "rm -f $quiet" EXIT
	fi
	if ! apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
		# The lists of a fresh machine are empty or old.
		if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
			tail -n 15 "$log" >&2
			rm -f "$log"
			fail "apt-get could not install the packages" "see its words above; is the network there, is /etc/apt/sources.list right?"
		fi
	fi
	rm -f "$log"
	[ -z "$quiet" ] || rm -f "$quiet"
}

# configure DIR OPTION... : a build folder; one that is there is looked over again, for files may have come or gone.
configure() {
	local dir=$1 again=()
	shift
	[ ! -f "$dir/build.ninja" ] || again=(--reconfigure)
	mkdir -p "$(dirname "$dir")"
	meson setup "${again[@]}" "$dir" "$top" "$@" >"$dir.log" 2>&1 || {
		tail -n 20 "$dir.log" >&2
		fail "meson could not set up $dir" "read $dir.log; a half-made folder is mended by: rm -r $dir"
	}
	rm -f "$dir.log"
}

# compile DIR : quiet unless it fails. Returns ninja's answer.
compile() {
	local log
	log=$1/compile.log
	if ninja -C "$1" >"$log" 2>&1; then
		return 0
	fi
	grep -E -A12 'error|FAILED|warning' "$log" | head -n 60 >&2
	return 1
}
