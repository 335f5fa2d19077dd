# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For end-to-end tests with real web servers. A test sources this after lib.sh and mta-root.sh, and
# calls own_root with the packages it wants, then start and web_lab. Customers are accounts of the
# new root alone; their sites are configured there as on a server.
# shellcheck disable=SC2016,SC2034,SC2154 # text for at_exit is expanded later; lib.sh, the tests

flood=100000	# attempts of the worst site; the others make ten each

# web_lab: two listeners on port 25 in another network, and web_places.
web_lab() {
	local net
	net=2001:db8:25:$(printf '%x' $(($$ % 65536)))
	lab
	hosts=("$server")
	if [[ -e /proc/net/if_inet6 ]] && ip -n "swe2e$$" address add "$net::25/64" dev eth0 nodad &&
		ip address add "$net::1/64" dev "sw$$" nodad; then
		ip netns exec "swe2e$$" "$build/smtpd" "$net::25" 25 >"$tmp/smtpd6" &
		smtpd6_pid=$!
		at_exit 'kill "$smtpd6_pid" 2>/dev/null; wait "$smtpd6_pid" 2>/dev/null'
		check "a listener on IPv6" within 60 grep -q listening "$tmp/smtpd6"
		hosts+=("[$net::25]")
	fi
	web_places
	# What a server left running.
	at_exit 'end_processes'
}

# web_places: a port for a web server, room for sites.
web_places() {
	local place
	port=$((20000 + $$ % 10000))
	until [[ -z $(ss -Hltn "sport = :$port") ]]; do
		((++port))
	done
	# Disks of their own: directories keep their numbers, as on a server.
	for place in /home /srv /var/www; do
		mkdir -p "$place" && mount -t tmpfs -o mode=755 tmpfs "$place" || exit 99
	done
	php=$(find /etc/php -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort -V | tail -n 1)
}

# customer LOGIN UID: an account with a home.
customer() {
	useradd --uid "$2" --user-group --no-create-home --key UID_MAX=65000 --shell /bin/bash "$1" ||
		bail_out "cannot add $1"
	install -d -m 711 -o "$1" -g "$1" "/home/$1"
}

# put OWNER FILE [MODE]: standard input, readable by everybody as are the directories above it.
put() {
	install -d -m 755 -o "$1" -g "$1" "${2%/*}"
	cat >"$2"
	chown "$1:$1" "$2"
	chmod "${3:-644}" "$2"
}

# What scripts begin with: send(N) makes so many attempts and says how they ended; $n is how many
# were asked for.
send_php() {
	local list
	list=$(printf "'%s'," "${hosts[@]}")
	cat <<-END
	<?php
	set_time_limit(0);
	\$hosts = [$list];
	function send(\$n) {
		global \$hosts;
		\$ends = [];
		for (\$i = 0; \$i < \$n; \$i++) {
			\$code = 0;
			\$s = @fsockopen(\$hosts[\$i % count(\$hosts)], 25, \$code, \$text, 20);
			\$end = \$s ? substr(fgets(\$s), 0, 3) : \$text;
			\$ends[\$end] = (\$ends[\$end] ?? 0) + 1;
		}
		foreach (\$ends as \$end => \$times)
			echo "\$end: \$times\\n";
	}
	\$n = (int)(\$_GET['n'] ?? \$argv[1] ?? 1);
	END
}

# site OWNER FILE [PHP...]: a script that sends mail by itself.
site() {
	local owner=$1 file=$2
	shift 2
	{ send_php && printf '%s\n' "${@:-send(\$n);}"; } | put "$owner" "$file"
}

# get HOST PATH: a request to that site.
get() { run curl -sS --fail --max-time 200 -H "Host: $1" "http://127.0.0.1:$port$2"; }

# reaches NAME HOST PATH: nothing is in force, so the script must be able to speak to port 25.
reaches() {
	get "$2" "$3?n=${#hosts[@]}"
	check "$1: reaches port 25 before" is "$out" "220: ${#hosts[@]}"
}

# refused_times NAME HOST PATH N: the site makes so many attempts, and each is refused.
refused_times() {
	get "$2" "$3?n=$4"
	check "$1: $4 refused" is "$out" "Connection refused: $4"
}

# flood_from HOST PATH: in the background; flood_ends waits for it.
flood_from() {
	curl -sS --fail --max-time 250 -H "Host: $1" "http://127.0.0.1:$port$2?n=$flood" \
		>"$tmp/flood" 2>"$tmp/flood.err" &
	flood_pid=$!
	at_exit 'kill "$flood_pid" 2>/dev/null; wait "$flood_pid" 2>/dev/null'
}

flood_ends() {
	status=0
	wait "$flood_pid" || status=$?
	out=$(<"$tmp/flood") err=$(<"$tmp/flood.err")
	check "the flood: $flood refused" is "$out" "Connection refused: $flood"
}

# daemon NAME COMMAND...: starts a server in our cgroup, as its init script does.
daemon() {
	local name=$1
	shift
	run as 0 "$@"
	check "$name starts" exits 0
}

# answers_http: something serves on the port.
answers_http() {
	check "and listens" within 60 eval '[[ -n $(ss -Hltn "sport = :$port") ]]'
}

# reported BY LINE...: exactly these rows, each "DENIED DOMAIN SOURCE USER DIRECTORY SCRIPT".
reported() {
	local by=$1
	shift
	run "$smtpwall" report --by "$by" --format json --all
	jq -r '.rows[] | [.denied, .domain, .source, .user, .directory, .script] |
		map(. // "-" | tostring) | join(" ")' <<<"$out" | sort >"$tmp/rows"
	printf '%s\n' "$@" | sort | diff "$tmp/rows" - >"$tmp/diff" && exits 0 0 && return
	out=$(<"$tmp/diff")
	return 1
}
