#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# From observing to enforcing: what suggest prints is pasted as it comes, and then everything that
# it was about gets through, and nothing else.
# shellcheck disable=SC2016,SC2034 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq nsenter
id daemon >/dev/null 2>&1 || skip_all "there is no account daemon"
lab
trap_dir=$tmp/$'x\n[exempt]\nusers = 61020\n;'	# a customer may call a directory what it likes
hostile=61010 spammer=61020 in_container=61030 limited=61040 ruled=61050 late=61060
container=docker-$(printf '%064d' $$).scope

# spam: to many machines. Its network namespace has no way to any of them, so that a connect ends
# behind the hooks at once.
spam() {
	run nsenter --net="/run/netns/swe2e$$" bash -c 'echo $$ >"$1/cgroup.procs" &&
		exec setpriv --reuid "$2" --regid "$2" --clear-groups bash -c "for n in 1 2 3 4 5; do
			{ :; } 3<>/dev/tcp/203.0.113.\$n/25; done"' bash "$cgroup" "$spammer"
}

try_in_container() {
	run bash -c 'echo $$ >"$1/cgroup.procs" && exec setpriv --reuid "$2" --regid "$2" \
		--clear-groups bash -c "exec 3<>/dev/tcp/$3/25 && read -r -t 10 line <&3 &&
		echo \"\$line\""' bash "$cgroup/$container" "$in_container" "$server"
}

# Root of a container is not root of the host: exempt here, not there. It has directories of its own.
root_in_container() {
	run nsenter --net="/run/netns/swe2e$$" bash -c 'echo $$ >"$1/cgroup.procs" && cd / &&
		{ :; } 3<>/dev/tcp/203.0.113.9/25' bash "$cgroup/$container"
}

try_in_trap() {
	local here=$PWD
	cd "$trap_dir" || exit 99
	try "$hostile"
	cd "$here" || exit 99
}

# suggest [ARGUMENT...]: its output is left in $tmp/out.
suggest() { run "$smtpwall" suggest "$@"; }

# lines: of the configuration in the last output, without comments and limits.
lines() { sed -n 's/ ;.*//; /^[^;]/p' <<<"$out"; }

# shellcheck disable=SC2317 # called by check
matches() { jq -e "$1" <<<"$out" >/dev/null; }

mkdir -p "$trap_dir" "$cgroup/$container"
chmod 755 "$trap_dir"
at_exit 'remove_cgroup "$cgroup/$container"'

suggest
fails "nothing in force" 3 "smtpwall apply"
for arguments in '--since bogus' '--top 0' '--top x' '--format tsv' '--format csv'; do
	# shellcheck disable=SC2086 # two words
	suggest $arguments
	check "$arguments: exit status 2, one line" exits 2 1
done

# ---- Observe ----

rules="[allow]
rule = user $limited to $server limit 1/day
rule = user $ruled to $server
"
config "[policy]
mode = observe
$rules"
run "$smtpwall" apply
suggest
check "nobody has tried: exit status 0, one line" exits 0 1
check "nobody has tried: says what was looked at" has "$err" "nothing to suggest: no destination was denied"
check "nobody has tried: no output" is "$out" ""
suggest --format json
check "nobody has tried: json" matches '. == {since: null, rows: []}'

for uid in "$account" "$account" "$(id -u daemon)" "$ruled" "$limited" "$limited" 0; do
	try "$uid"
	check "observe: $uid gets through" greeted
done
try_in_trap
check "observe: from a hostile directory too" greeted
try_in_container
check "observe: from a container too" greeted
root_in_container
check "observe: root of a container passes the hooks" lacks "$err" "refused"
spam
check "observe: a spammer passes the hooks" lacks "$err" "refused"

# ---- Suggest ----

suggest
cp "$tmp/out" "$tmp/suggested"
check "suggest: exit status 0, no error" exits 0 0
check "suggest: these lines, the system account first" is "$(lines)" "[allow]
rule = user daemon to $server port 25
rule = cgroup ${cgroup#"$root_cgroup"}/$container to 203.0.113.9 port 25
rule = user $account to $server port 25
rule = user $hostile to $server port 25
rule = cgroup ${cgroup#"$root_cgroup"}/$container to $server port 25
[limit]"
check "suggest: with a limit" has "$out" "rule = user $account to $server port 25 ;limit 10/day"
check "suggest: how often" has "$out" "; UID $account: 2 attempts to $server port 25"
check "suggest: where, on its line" has "$out" 'x\x0a[exempt]\x0ausers = 61020'
check "suggest: what" has "$out" ";   by bash -c"
check "suggest: the spammer is named, not allowed" has "$out" \
	"; not suggested: UID $spammer: 5 attempts to 5 destinations port 25"
check "suggest: a limit, as a comment" has "$out" ";user $limited = 10/day"
check "suggest: nothing for what a rule allows" lacks "$out" "$ruled"
check "suggest: nothing about the exempt, but in the container" has "$out" \
	"; root (0): 1 attempt to 203.0.113.9 port 25"

suggest --format json
check "json: exit status 0" exits 0 0
check "json: all rows" matches '.rows | length == 7'
for key in line section uid user address port attempts first_seen last_seen directory script \
	container confidence reason; do
	check "json: $key" matches ".rows | all(has(\"$key\"))"
done
check "json: the first one" matches ".rows[0] | .line == \"rule = user daemon to $server port 25\" and
	.section == \"allow\" and .address == \"$server\" and .port == 25 and .confidence == \"high\""
check "json: the container" matches '[.rows[].container | select(. != null and
	startswith("docker "))] | length == 2'
check "json: the spammer" matches ".rows[] | select(.uid == $spammer) |
	.line == null and .confidence == \"no\" and .attempts == 5 and .destinations == 5"
check "json: the directory as it is" eval 'jq -e --arg here "$trap_dir" \
	"[.rows[].directory] | index(\$here)" <<<"$out" >/dev/null'
suggest --top 1
check "--top 1: one line" is "$(lines)" "[allow]
rule = user daemon to $server port 25"
check "--top 1: says that there are more" has "$out" "; and 6 more"
suggest --since 2099-01-01
check "--since: nothing is that new" exits 0 1
check "--since: no output" is "$out" ""
suggest --since 1h
check "--since: all of it is newer" is "$(grep -c ^rule <<<"$out")" 5

# ---- Paste, check, enforce ----

config "$rules"
mkdir "$tmp/conf.d"
cp "$tmp/suggested" "$tmp/conf.d/suggested.conf"
run "$smtpwall" apply --check
check "pasted into conf.d: good" exits 0
sed 's/ ;limit/ limit/; s/^;user/user/' "$tmp/suggested" >"$tmp/conf.d/suggested.conf"
run "$smtpwall" apply --check
check "with the limits: good" exits 0
rm "$tmp/conf.d/suggested.conf"
cat "$tmp/suggested" >>"$tmp/smtpwall.conf"
run "$smtpwall" apply --check
check "pasted into smtpwall.conf: good" exits 0
run "$smtpwall" apply
check "apply" exits 0
check "apply: enforces" has "$err" "mode enforce"

for uid in "$account" "$(id -u daemon)" "$ruled" 0; do
	try "$uid"
	check "enforce: $uid gets through" greeted
done
try_in_trap
check "enforce: from the hostile directory too" greeted
try_in_container
check "enforce: from the container too" greeted
root_in_container
check "enforce: root of the container passes the hooks" lacks "$err" "refused"
spam
check "enforce: the spammer is refused" eval '(($(grep -c "connect: Connection refused" <<<"$err") == 5))'
try "$late"
check "enforce: who was not observed is refused" refused "Connection refused"

# ---- The same question once more ----

suggest
check "afterwards: what is allowed is left out" is "$(lines)" "[allow]
rule = user $late to $server port 25
[limit]"
check "afterwards: the spammer is still named" has "$out" \
	"; not suggested: UID $spammer: 10 attempts to 5 destinations port 25"
run "$smtpwall" deny "$late"
suggest
check "denied by hand: no line for it" is "$(lines)" "[limit]"
check "denied by hand: it is named" has "$out" "'smtpwall release' ends that"
done_testing
