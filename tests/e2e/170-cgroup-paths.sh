#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Cgroups of the policy are named by path: a service is exempt, or has its allow rule, from the
# moment it is started, and still when it is restarted. Nothing runs meanwhile.
# shellcheck disable=SC2016,SC2034 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq
lab
top=${cgroup#"$root_cgroup"}	# as the policy names it

# try_in NAME: an ordinary account connects from this cgroup below ours.
try_in() {
	run bash -c 'echo $$ >"$1/cgroup.procs" && exec setpriv --reuid "$2" --regid "$2" \
		--clear-groups bash -c "exec 3<>/dev/tcp/$3/25 && read -r -t 10 line <&3 &&
		echo \"\$line\""' bash "$cgroup/$1" "$account" "$server"
}

# make NAME..., unmake NAME...: cgroups below ours, as a service manager does it.
make() {
	local name
	for name; do
		mkdir -p "$cgroup/$name" || exit 99
	done
}
unmake() {
	local name
	for name; do
		remove_cgroup "$cgroup/$name"
	done
}
restart() {
	unmake "$@"
	make "$@"
}
at_exit 'unmake service/inner service service2 servic other/service other ruled/inner ruled both'

passes() {
	try_in "$1"
	check "$2" greeted
}
is_refused() {
	try_in "$1"
	check "$2" refused "Connection refused"
}

# ids: of the exempt cgroups in status, in the order of their paths; 0 for one that is not there.
ids() { "$smtpwall" status --format json | jq -c '[.exempt[] | select(.kind == "cgroup")] |
	sort_by(.name) | map(.id)'; }

# configure [LINE]: the policy of this test; LINE stands under [allow].
configure() {
	config "[exempt]
cgroups = $top/service $top/both
[allow]
rule = cgroup $top/ruled to $server port 25
rule = cgroup $top/both to 192.0.2.1 port 25
${1-}"
}

# ---- Some are not there yet ----

make service servic service2 other/service
configure
run "$smtpwall" apply
check "apply: exit status 0" exits 0
check "apply: warns of what is not there" has "$err" "there is no cgroup $top/ruled now"
check "apply: not of what is" lacks "$err" "no cgroup $top/service "
check "status: the id of the one that is there" is "$(ids)" \
	"[0,$(stat -c %i "$cgroup/service")]"

passes service "exempt: it gets through"
for name in servic service2 other other/service; do
	is_refused "$name" "$name is another one: refused"
done
make service/inner
passes service/inner "a cgroup that is made inside of it gets through"
make ruled both
passes ruled "allow rule: it holds as soon as the cgroup is made"
passes both "exempt and with a rule: it gets through as soon as it is made"
run "$smtpwall" status
check "status: healthy" exits 0
check "status: the ids of both now" is "$(ids)" \
	"[$(stat -c %i "$cgroup/both"),$(stat -c %i "$cgroup/service")]"

# ---- Restarts ----

unmake service/inner service
check "stopped: no id in status" is "$(ids)" "[$(stat -c %i "$cgroup/both"),0]"
make service
passes service "exempt: restarted, it gets through"
make service/inner
passes service/inner "exempt: and what is made inside of it"
restart ruled
passes ruled "allow rule: restarted, it gets through"
make ruled/inner
passes ruled/inner "allow rule: and what is made inside of it"
run as "$account" bash -c 'exec 3<>"/dev/tcp/192.0.2.1/25"'
check "allow rule: others are refused elsewhere too" refused "Connection refused"
restart both
passes both "both: restarted, it gets through"
restart service2 other/service
is_refused service2 "others: restarted, still refused"
is_refused other/service "others: the same name elsewhere, still refused"

rows() {
	bpftool map dump pinned "$SMTPWALL_PIN_DIR/v3/sw_exempt" -j | jq length
}
if command -v bpftool >/dev/null; then
	before=$(rows)
	for ((n = 0; n < 50; n++)); do
		restart both ruled/inner
	done
	check "50 restarts leave no rows behind" is "$(rows)" "$before"
	passes both "and it still gets through"
fi

# ---- Restarted around an apply ----

configure "rule = user 61003 to any"
run "$smtpwall" apply
check "another apply: exit status 0" exits 0
for name in service both ruled; do
	passes "$name" "another apply: $name gets through"
done
unmake ruled/inner ruled
restart both
unmake service/inner service
make service ruled
for name in service both ruled; do
	passes "$name" "another apply: $name gets through when it was restarted"
done

config ''
run "$smtpwall" apply
for name in service both ruled; do
	is_refused "$name" "without them in the policy: $name is refused"
done
restart service both
is_refused service "without them in the policy: also when it was restarted"
check "without them in the policy: no hook is left" eval \
	'! compgen -G "$SMTPWALL_PIN_DIR/v3/link_cgroup*"'
configure
run "$smtpwall" apply
passes service "in the policy again: it gets through"
run "$smtpwall" off
restart service
check "off: nothing is left" test ! -e "$SMTPWALL_PIN_DIR"

# ---- What cannot be one ----

for path in / relative "$top/../$top/service" "$top/service/cgroup.procs"; do
	config "[exempt]
cgroups = $path"
	run "$smtpwall" apply --check
	fails "cgroups = $path" 2 "$tmp/smtpwall.conf:2:"
done
done_testing
