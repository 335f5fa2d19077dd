#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# explain: the live policy or a file, in every format, with the line that decides.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq

mkdir "$cgroup/inner"
at_exit 'remove_cgroup "$cgroup/inner"'
cat >"$tmp/smtpwall.conf" <<END
[policy]
deny_ports = 25
[exempt]
users = root
   61001$mta_users
groups = 61002$mta_groups
cgroups = ${cgroup#"$root_cgroup"}/inner
mta = none
END
run "$smtpwall" apply
check "apply" exits 0

# says NAME VERDICT RULE REASON LINE OPTION...: the live policy and the file agree on it, in TSV.
# LINE is a number, "default" for what the file does not set, or empty.
says() {
	local name=$1 want where=${5:+$tmp/smtpwall.conf:$5}
	[[ $5 != default ]] || where='built-in default'
	want=$(printf '%s\t%s\t%s\t%s' "$2" "$3" "$4" "$where")
	shift 5
	run "$smtpwall" explain --format tsv "$@"
	check "$name: live" is "$status $out" "0 $want"
	run "$smtpwall" explain --format tsv --config "$tmp/smtpwall.conf" "$@"
	check "$name: file" is "$status $out" "0 $want"
}

says "nobody exempts it" deny deny_ports policy 2 --uid "$account"
says "root" allow "exempt user 0" exempt-uid 4 --uid root
says "a continued line" allow "exempt user 61001" exempt-uid 5 --uid 61001
says "group" allow "exempt group 61002" exempt-gid 6 --uid "$account" --gid 61002
says "real UID does not matter" allow "exempt user 0" exempt-uid 4 --uid 0 --real-uid "$account"
says "container" deny deny_ports container 2 --uid 0 --container
id=$(stat -c %i "$cgroup/inner")
says "cgroup" allow "exempt cgroup $id" exempt-cgroup 7 --uid "$account" \
	--cgroup-of "${cgroup#"$root_cgroup"}/inner"
says "the cgroup above it" deny deny_ports policy 2 --uid "$account" \
	--cgroup-of "${cgroup#"$root_cgroup"}"
for dest in 127.0.0.1 127.8.9.10 0.0.0.0 ::1 :: ::ffff:127.0.0.1; do
	says "to $dest" allow allow_local local default --uid "$account" --dest "$dest"
done
says "to another machine over IPv6" deny deny_ports policy 2 --uid "$account" --dest 2001:db8::1
for port in 465 587; do
	says "port $port" allow count_ports count-port default --uid "$account" --port "$port"
done
says "port 80" allow none other-port '' --uid "$account" --port 80

run "$smtpwall" explain --uid "$account"
check "table: exit status 0" exits 0 0
check "table: verdict and reason" has "$out" "deny: nothing exempts this identity"
check "table: rule" has "$out" "rule: deny_ports"
run "$smtpwall" explain --uid 61001
check "table: where it stands" has "$out" "($tmp/smtpwall.conf:5)"
run "$smtpwall" explain --uid 61001 --format json
check "json: exit status 0" exits 0 0
check "json: every key" eval 'jq -e ". == {verdict: \"allow\", rule: \"exempt user 61001\",
	reason: \"the effective UID is exempt\", channel: \"direct\",
	line: \"$tmp/smtpwall.conf:5\"}" <<<"$out" >/dev/null'
run "$smtpwall" explain --uid "$account" --format json
check "json: the setting's line" has "$out" "\"line\":\"$tmp/smtpwall.conf:2\""
run "$smtpwall" explain --uid "$account" --port 80 --format json
check "json: no line" eval 'jq -e ".verdict == \"allow\" and .line == null" <<<"$out" >/dev/null'
run "$smtpwall" explain --uid 61001 --format csv
check "csv: exit status 0" exits 0 0

# The file is another one now; the live policy is not asked about it.
printf '[policy]\nmode = observe\nidentity = strict\n[exempt]\nusers = root\nmta = none\n' \
	>"$tmp/smtpwall.conf"
run "$smtpwall" explain --format tsv --uid 61001
check "live: as applied" has "$out" $'allow\texempt user 61001'
run "$smtpwall" explain --format tsv --uid 61001 --config "$tmp/smtpwall.conf"
check "file: observe" has "$out" $'observe\tdeny_ports\tpolicy'
run "$smtpwall" explain --format tsv --uid 0 --real-uid "$account" --config "$tmp/smtpwall.conf"
check "file: strict" has "$out" $'observe\tdeny_ports\treal-uid'
printf '[policy]\nmode = blok\n' >"$tmp/smtpwall.conf"
run "$smtpwall" explain --uid 0 --config "$tmp/smtpwall.conf"
fails "bad file" 2 "$tmp/smtpwall.conf:2:"

run "$smtpwall" off
run "$smtpwall" explain --uid 0
check "nothing in force: exit status 3" exits 3 1
config ''
run "$smtpwall" explain --uid "$account" --config "$tmp/smtpwall.conf"
check "a file needs nothing in force" exits 0
check "and makes no pins" test ! -e "$SMTPWALL_PIN_DIR"
done_testing
