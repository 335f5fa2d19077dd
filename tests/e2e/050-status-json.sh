#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status and report --format json: every key of the contract, with its type.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq

# shellcheck disable=SC2317 # called by check
matches() { jq -e "$1" <<<"$out" >/dev/null; }

# json NAME FILTER: true for the last output.
json() {
	check "$1" matches "$2"
}

# keys LABEL: every key of status, whatever the state.
keys() {
	json "$1: one object" 'type == "object"'
	json "$1: version" '.version | type == "string" and test("^[0-9.]+$")'
	json "$1: mode" '.mode | . == null or . == "enforce" or . == "observe"'
	json "$1: healthy" '.healthy | type == "boolean"'
	json "$1: problems" '.problems | type == "array" and all(type == "string")'
	json "$1: healthy is no problems" '.healthy == (.problems | length == 0)'
	json "$1: generation" '.generation | type == "number"'
	json "$1: cgroup" '.cgroup | type == "string"'
	json "$1: hooks" '.hooks | type == "array" and length >= 2 and
		all((.name | type == "string") and (.attached | type == "boolean"))'
	json "$1: deny_ports" '.deny_ports | type == "array" and all(type == "number")'
	json "$1: count_ports" '.count_ports | type == "array" and all(type == "number")'
	json "$1: exempt" '.exempt | type == "array" and
		all((.kind | IN("uid", "gid", "cgroup")) and (.id | type == "number") and
		has("name") and (.why | type == "string"))'
	json "$1: features" '.features | type == "object" and all(type == "boolean")'
	json "$1: events" '.events | [.sent, .lost, .throttled] | all(type == "number")'
	json "$1: uid_table" '.uid_table | [.used, .max, .overflow] | all(type == "number")'
	json "$1: conflicts" '.conflicts | type == "array" and all(type == "string")'
}

run "$smtpwall" status --format json
check "nothing in force: exit status 1" exits 1
keys "nothing in force"
json "nothing in force: not healthy, no mode" '.healthy == false and .mode == null'

config '[policy]
deny_ports = 25 2525
count_ports = 587'
run "$smtpwall" apply
run "$smtpwall" status --format json
check "in force: exit status 0, no error" exits 0 0
keys "in force"
json "in force: mode" '.mode == "enforce" and .healthy and .generation == 1'
json "in force: cgroup" ".cgroup == \"$cgroup\""
json "in force: hooks" '[.hooks[] | select(.attached) | .name] == ["connect4", "connect6", "outcome",
	"exec"]'
json "in force: ports" '.deny_ports == [25, 2525] and .count_ports == [587]'
json "in force: exempt" '[.exempt[] | [.kind, .id] | select(. == ["uid", 0] or . == ["uid", 61001])] |
	length == 2'
json "in force: nobody else is, but mail servers of this machine" \
	"(.exempt | length) == 2 + $(wc -w <<<"$mta_users $mta_groups")"
json "in force: root has a name" '.exempt[0].name == "root"'
json "in force: an id without an account has none" '.exempt[] | select(.id == 61001) | .name == null'
json "in force: why" ".exempt | all(.why | startswith(\"$tmp/smtpwall.conf:\"))"
json "in force: nothing lost" '.uid_table.overflow == 0 and .events.lost == 0'

config '[policy]
strict = yes'
run "$smtpwall" apply
run "$smtpwall" status --format json
json "strict: the third hook" '[.hooks[] | select(.attached) | .name] ==
	["connect4", "connect6", "sock_create", "outcome", "exec"]'
json "strict: the next generation" '.generation == 2'

rm "$SMTPWALL_PIN_DIR/v3/link_connect6"
run "$smtpwall" status --format json
check "a hook is gone: exit status 1" exits 1
keys "a hook is gone"
json "a hook is gone: which" '[.hooks[] | select(.attached | not) | .name] == ["connect6"]'
json "a hook is gone: no mode is claimed" '.mode == null'
run "$smtpwall" apply

for feature in custom_errno task_btf coarse_clock; do
	export SMTPWALL_DISABLE=$feature
	run "$smtpwall" apply
	check "without $feature: apply" exits 0
	run "$smtpwall" status --format json
	check "without $feature: still healthy" exits 0
	json "without $feature: said so" ".features.$feature == false"
	run "$smtpwall" status
	check "without $feature: what is lost" eval 'grep -q "$feature *MISSING: ." <<<"$out"'
done
unset SMTPWALL_DISABLE

config '[limit]
user 61009 = sendmail 5/hour'
SMTPWALL_DISABLE=sendmail_refusal run "$smtpwall" apply
check "limit of sendmail that cannot be refused: apply" exits 0
SMTPWALL_DISABLE=sendmail_refusal run "$smtpwall" status --format json
json "limit of sendmail that cannot be refused: said so" '.healthy and
	.features.sendmail_refusal == false and .limits.sendmail_refused == false and
	([.hooks[].name] | index("exec") and (index("exec_refuse") | not))'
SMTPWALL_DISABLE=sendmail_refusal run "$smtpwall" status
check "limit of sendmail that cannot be refused: counted only" \
	eval 'grep -q "^limit .*sendmail: counted only" <<<"$out"'
run "$smtpwall" verify
check "limit of sendmail that cannot be refused: verify" exits 0
run "$smtpwall" apply
run "$smtpwall" status --format json
json "limit of sendmail: as the kernel can" '.features.sendmail_refusal as $can | .healthy and
	.limits.sendmail_refused == $can and ([.hooks[].name] | index("exec_refuse") != null) == $can'

# Accounts with a domain and without, by the files of a panel.
mkdir -p "$tmp/panel/etc"
printf '%s\n' 'root:x:0:0::/root:/bin/sh' 'owner:x:61010:61010::/home/owner:/bin/sh' >"$tmp/panel/etc/passwd"
echo 'shop.example: owner' >"$tmp/panel/etc/trueuserdomains"
config "[domains]
root = $tmp/panel
[limit]
unknown = 0/hour
domain shop.example = 7/hour
domain gone.example = 7/hour"
run "$smtpwall" apply
check "limits of domains: apply" exits 0
check "limits of domains: one that nobody knows is told" eval 'grep -q "gone\.example" <<<"$err"'
run "$smtpwall" status --format json
json "limits of domains: status" '.healthy and .limits.unknown.per_hour == 0 and
	.limits.default.per_hour == null and .limits.accounts == 1'
run "$smtpwall" explain --uid 61010 --gid 61010 --dest 203.0.113.9 --port 587 --format json
json "limits of domains: the owner's" '.verdict == "allow"'
run "$smtpwall" explain --uid 61011 --gid 61011 --dest 203.0.113.9 --port 587 --format json
json "limits of domains: who has none" '.verdict == "limited" and (.line | test("smtpwall.conf:[0-9]+$"))'
config ''
run "$smtpwall" apply

# An attempt of an account without a name, from a directory.
as "$account" bash -c 'cd / && exec 3<>/dev/tcp/127.0.0.1/25' 2>/dev/null
run "$smtpwall" report --format json --all
check "report: exit status 0" exits 0 0
json "report: the head" 'has("since") and has("until") and (.live | type == "boolean") and
	(.events_lost | type == "number") and (.rows | type == "array" and length == 1)'
for key in uid user domain domains source directory script attempts allowed denied would_deny \
	limited redirected local sendmail destinations bytes_sent established failed first_seen \
	last_seen last_destination; do
	json "report: $key" ".rows | all(has(\"$key\"))"
done
json "report: counted as local" ".rows[0] | .uid == $account and .local == 1 and .attempts == 1"
json "report: times are RFC 3339" '.rows[0] | [.first_seen, .last_seen] |
	all(test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9]{2}:[0-9]{2})$"))'
done_testing
