#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# events: text and JSON lines of what waits in the buffer and of what comes, filters, one reader at a
# time, and hostile text in every field that a caller chooses.
# shellcheck disable=SC2016 # at_exit and eval expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq

mkdir -p "$tmp/root/etc" "$tmp/web/shop" "$tmp/web/bob"
cat >"$tmp/root/etc/passwd" <<-END
	root:x:0:0::/root:/bin/bash
	alice:x:61009:61009::$tmp/web:/bin/bash
	bob:x:61010:61010::/nonexistent:/bin/bash
END
printf '%s\n' 'shop.example: alice' 'bob.example: bob' >"$tmp/root/etc/trueuserdomains"
printf '%s\n' "shop.example: alice==root==main==x==$tmp/web/shop==" \
	"www.shop.example: alice==root==parked==x==$tmp/web/shop==" \
	"bob.example: bob==root==main==x==$tmp/web/bob==" >"$tmp/root/etc/userdatadomains"
evil=$'a\n\033[31m"\xe2\x80\xae\xff'
mkdir "$tmp/web/shop/$evil"
chmod -R a+rx "$tmp/web"

# attempt UID DIRECTORY ADDRESS PORT [TITLE]
attempt() {
	as "$1" bash -c 'cd "$0" && exec -a "${3:-worker}" bash -c "echo >/dev/tcp/$1/$2"' \
		"$2" "$3" "$4" "${5:-}" 2>/dev/null
}

run "$smtpwall" events
fails "nothing in force" 3 "nothing is in force"
config "[policy]
mode = enforce
deny_ports = 25 2525
[domains]
root = $tmp/root"
run "$smtpwall" apply
check "apply" exits 0
run "$smtpwall" events
check "no event: exit status 0, nothing printed" eval 'exits 0 0 && [[ -z $out ]]'

attempt 61009 "$tmp/web/shop/$evil" 203.0.113.1 25 $'php-fpm: \033]0;x\a pool'
attempt 61010 "$tmp/web/bob" 2001:db8::1 2525
run "$smtpwall" events --format json
check "json: exit status 0" exits 0 0
check "json: one object a line" is "$(wc -l <<<"$out") $(jq -s length <<<"$out")" '2 2'
check "json: no control character" eval '! grep -q "[[:cntrl:]]" <<<"$out"'
check "json: every field, in its order" is "$(jq -c keys_unsorted <<<"$out" | uniq)" \
	'["time","uid","user","euid","ruid","gid","loginuid","pid","ppid","comm","parent",'\
'"destination","port","family","verdict","reason","directory","script","argv","cgroup",'\
'"container","domain","source","account"]'
check "json: who" is "$(jq -c '[.uid, .user, .euid, .ruid, .gid]' <<<"$out" | head -n 1)" \
	'[61009,"alice",61009,61009,61009]'
check "json: where to" is "$(jq -c '[.destination, .port, .family]' <<<"$out" | tr -d '\n')" \
	'["203.0.113.1",25,4]["2001:db8::1",2525,6]'
check "json: what for" is "$(jq -c '[.verdict, .reason]' <<<"$out" | uniq)" '["deny","policy"]'
check "json: the site" is "$(jq -c '[.domain, .source, .account]' <<<"$out" | tr -d '\n')" \
	'["shop.example","docroot","alice"]["bob.example","docroot","bob"]'
# jq cannot hold the byte that is not UTF-8; it comes as four characters.
check "json: the directory, byte by byte" is "$(jq -r .directory <<<"$out" | head -c -1 | head -n 2)" \
	"$tmp/web/shop/"$'a\n\033[31m"\xe2\x80\xae\\xff'
check "json: the title, as a list" is "$(jq -c .argv[0:2] <<<"$out" | head -n 1)" \
	'["php-fpm: \u001b]0;x\u0007 pool","-c"]'
check "json: time is RFC 3339" is "$(jq -r .time <<<"$out" | grep -cE \
	'^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9]{2}:[0-9]{2})$')" 2
check "json: pid and parent" is "$(jq -s 'all(.pid > 1 and .ppid > 1 and (.parent | length > 0) and
	(.comm == "bash"))' <<<"$out")" true
check "json: the cgroup" is "$(jq -r .cgroup <<<"$out" | uniq)" "/${cgroup##*/}"
run "$smtpwall" events
check "what was read is gone" is "$out" ''

attempt 61009 "$tmp/web/shop/$evil" 203.0.113.1 25
run "$smtpwall" events
check "text: one line" is "$(wc -l <<<"$out")" 1
check "text: domain first" is "${out%% *}" shop.example
check "text: who, what, where to" has "$out" "DENIED alice (61009) to 203.0.113.1:25 in $tmp/web/shop/a\\x0a"
check "text: no control character" eval '! grep -q "[[:cntrl:]]" <<<"$out"'
attempt 61010 "$tmp/web/bob" 203.0.113.1 25
run "$smtpwall" events --format tsv
check "tsv: 24 columns" is "$(awk -F '\t' '{ print NF }' <<<"$out")" 24
attempt 61010 "$tmp/web/bob" 203.0.113.1 25
run "$smtpwall" events --format csv
check "csv: a head" has "$out" time,uid,user,
check "csv: and a row" has "$out" ",61010,bob,"

# shown ARGUMENT...: destinations of what the filters leave of two events. An account has sixteen
# of them before the throttle sets in.
shown() {
	attempt 61009 "$tmp/web/shop" 203.0.113.1 25
	attempt 61010 / 203.0.113.2 2525
	run "$smtpwall" events --format json "$@"
	jq -r .destination <<<"$out" | cut -d . -f 4 | tr -d '\n'
}
check "both" is "$(shown)" 12
check "--uid by number" is "$(shown --uid 61010)" 2
check "--domain" is "$(shown --domain shop.example)" 1
check "--domain by an alias" is "$(shown --domain www.shop.example)" 1
check "--port" is "$(shown --port 2525)" 2
check "--verdict" is "$(shown --verdict deny,limited)" 12
check "--verdict of others" is "$(shown --verdict observe)" ''
check "--since" is "$(shown --since 1h)$(shown --since 2099-01-01)" 12
run "$smtpwall" events --verdict block
fails "an unknown verdict" 2 block
run "$smtpwall" events --follow --once
fails "--follow and --once" 2 exclude

mkfifo "$tmp/feed"
"$smtpwall" events --follow --format json >"$tmp/feed" 2>"$tmp/follow.err" &
follow_pid=$!
at_exit '[[ -z $follow_pid ]] || kill "$follow_pid" 2>/dev/null; wait'
exec {feed}<"$tmp/feed"
# Nothing says that it is ready; what came before it was is shown too.
attempt 61009 "$tmp/web/shop" 203.0.113.9 25
IFS= read -r -t 30 -u "$feed" line || line='{}'
check "--follow shows what comes" is "$(jq -r .destination <<<"$line")" 203.0.113.9
run "$smtpwall" events
fails "a second reader is refused" 3 "process $follow_pid reads the events" "only once"
attempt 61010 "$tmp/web/bob" 203.0.113.10 25
IFS= read -r -t 30 -u "$feed" line || line='{}'
check "the first one goes on" is "$(jq -r .domain <<<"$line")" bob.example
run "$smtpwall" off
check "off" exits 0
status=0
timeout 30 tail --pid="$follow_pid" -f /dev/null || status=$?
wait "$follow_pid" || status+=$?
check "--follow ends with what it followed, exit status 1" is "$status" 01
check "--follow: and says why" has "$(<"$tmp/follow.err")" "no more events"
follow_pid=''
done_testing
