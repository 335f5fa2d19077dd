#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# top in a real terminal: keys, resize, from a domain to its directories to their events, hostile
# names, and what is left of the terminal at the end.
# shellcheck disable=SC2016 # at_exit and eval expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need tmux

mkdir -p "$tmp/root/etc" "$tmp/web/shop" "$tmp/web/blog" "$tmp/web/bob"
cat >"$tmp/root/etc/passwd" <<-END
	root:x:0:0::/root:/bin/bash
	alice:x:61009:61009::$tmp/web:/bin/bash
	bob:x:61010:61010::/nonexistent:/bin/bash
END
printf '%s\n' 'shop.example: alice' 'bob.example: bob' >"$tmp/root/etc/trueuserdomains"
printf '%s\n' "shop.example: alice==root==main==x==$tmp/web/shop==" \
	"blog.example: alice==root==addon==x==$tmp/web/blog==" \
	"bob.example: bob==root==main==x==$tmp/web/bob==" >"$tmp/root/etc/userdatadomains"
evil=$tmp/web/shop/$'a\033[2J\nb'
mkdir "$evil"
chmod -R a+rx "$tmp/web"
config "[policy]
mode = enforce
[domains]
root = $tmp/root"

# attempts UID DIRECTORY N ADDRESS
attempts() {
	as "$1" bash -c 'cd "$0" && for ((i = 0; i < $1; i++)); do echo >"/dev/tcp/$2/25"; done' \
		"$2" "$3" "$4" 2>/dev/null
}

run "$smtpwall" top --once
fails "nothing in force" 3 "nothing is in force"
run "$smtpwall" apply
check "apply" exits 0
run "$smtpwall" top
fails "no terminal" 2 "needs a terminal" --once
run "$smtpwall" top --once --interval 0
fails "a bad interval" 2 "0.25 to 60"
run "$smtpwall" top --once --format json
fails "another format" 2 "smtpwall report"

attempts 61009 "$evil" 3 203.0.113.1
attempts 61009 "$tmp/web/shop" 2 203.0.113.2
attempts 61009 "$tmp/web/blog" 4 203.0.113.3
attempts 61010 "$tmp/web/bob" 1 203.0.113.4

# first_words: of the rows of --once.
first_words() { tail -n +3 <<<"$out" | cut -d ' ' -f 1 | paste -s -d ' '; }

run env COLUMNS=80 "$smtpwall" top --once --interval 0.25
check "--once: exit status 0, no message" exits 0 0
check "--once: headline, titles, three domains" is "$(wc -l <<<"$out")" 5
check "--once: domain first" is "$(sed -n 2p <<<"$out" | cut -d ' ' -f 1)" DOMAIN
check "--once: worst first" is "$(first_words)" "shop.example blog.example bob.example"
check "--once: no control character" eval '! grep -q "[[:cntrl:]]" <<<"$out"'
check "--once: 80 columns hold it" is "$(awk 'length > 80' <<<"$out")" ''
run "$smtpwall" top --once --interval 0.25 --by uid --filter BOB
check "--once --by uid --filter" is "$(first_words)" bob.example

run "$smtpwall" top --once --channel fax
fails "a channel that is none" 2 "direct, local, sendmail or all"
as 61010 bash -c 'cd "$0" && for i in 1 2 3; do echo >/dev/tcp/127.0.0.1/25; done' "$tmp/web/bob" \
	2>/dev/null
run env COLUMNS=80 "$smtpwall" top --once --interval 0.25 --channel local
check "--channel local: who spoke to this machine" is "$(first_words)" bob.example
check "--channel local: how often" eval '[[ $(sed -n 3p <<<"$out") =~ bob\ +0\ +0\ +3\ +3 ]]'
check "--channel local: 80 columns hold it" is "$(awk 'length > 80' <<<"$out")" ''
run env COLUMNS=80 "$smtpwall" top --once --interval 0.25
check "--once, with a local column: 80 columns hold it" is "$(awk 'length > 80' <<<"$out")" ''
check "--once: has it" has "$(sed -n 2p <<<"$out")" LOCAL

# ---- A terminal ----

# shellcheck disable=SC2317 # called by check, at some remove
mux() { tmux -L "swe2e$$" -f /dev/null "$@" </dev/null; }
at_exit 'mux kill-server 2>/dev/null'
mux new-session -d -x 100 -y 24 -s t \
	"exec env LC_ALL=C.UTF-8 TERM=screen PS1='$ ' bash --norc --noprofile" || bail_out "no tmux"
press() { mux send-keys -t t "$@"; }
# shellcheck disable=SC2317
screen() { mux capture-pane -p -t t; }
# shellcheck disable=SC2317
line() { screen | sed -n "$1p"; }

# screen_within SECONDS CONDITION: the condition, which is evaluated, comes to hold. A terminal gives
# no sign when it is done, so it is asked again.
# shellcheck disable=SC2317 # called by check
screen_within() {
	local end=$((SECONDS + $1))
	shift
	until eval "$*"; do
		((SECONDS < end)) || { out=$(screen); return 1; }
		sleep 0.1
	done
}
# shellcheck disable=SC2317
shows() { screen_within 30 "[[ \$(screen) == *$(printf %q "$1")* ]]"; }
# shellcheck disable=SC2317
begins() { screen_within 30 "[[ \$(line $1) == $(printf %q "$2")* ]]"; }

press "stty -g >$tmp/before; $smtpwall top --interval 0.5; echo status=\$?; stty -g >$tmp/after" Enter
check "the headline" shows "mode enforce  3 offenders"
check "the titles: domain first" begins 3 DOMAIN
check "the worst is first" begins 4 shop.example
check "the helpline" begins 24 "q quit  Enter open"
check "nobody is at it: no rate" screen_within 30 '[[ $(line 4) =~ alice\ +0\ +0\ +5 ]]'

as 61010 bash -c 'cd "$0" && for ((i = 0; i < 4000; i++)); do echo >/dev/tcp/203.0.113.4/25; done' \
	"$tmp/web/bob" 2>/dev/null &
flood=$!
at_exit 'kill "$flood" 2>/dev/null; wait "$flood" 2>/dev/null'
check "who is at it comes first" begins 4 bob.example
check "and has a rate" screen_within 30 '[[ $(line 4) =~ bob\ +[1-9] ]]'
kill "$flood" 2>/dev/null
wait "$flood" 2>/dev/null
press n
check "sorted by name" eval 'shows "sorted by name" && begins 4 blog.example'
press d
check "sorted by denied" shows "sorted by denied"
press c
check "the next channel" eval 'shows "channel local" && shows "mode enforce  1 sender" &&
	begins 4 bob.example'
press c c c
check "and round to the first" eval 'shows "3 offenders" &&
	begins 2 "domains  sorted"'
press / s h o p Enter
check "a filter" eval "shows \"with 'shop'\" && screen_within 30 '[[ \$(screen) != *bob.example* ]]'"
press BSpace
check "no filter" shows bob.example
press n End Up Enter
check "from the last but one to its directories" shows "domains > directories"
press BSpace End Enter
check "shop.example: its directories" eval 'shows "web/shop " && shows "a\\x1b[2J\\x0ab"'
check "not those of others" eval '[[ $(screen) != *web/b* ]]'
press d Enter
check "events of the worst directory" shows "directories > events"
check "events: where to" shows 203.0.113.1:25
check "events: not those of others" eval '[[ $(screen) != *203.0.113.2:25* ]]'
attempts 61009 "$evil" 1 203.0.113.77
check "events come while it looks" shows 203.0.113.77:25
run "$smtpwall" events
fails "nobody else can read them" 3 "only once"

mux resize-window -t t -x 60 -y 10
check "smaller: the helpline is the last line" begins 10 "q quit"
check "smaller: it fits" eval '[[ -z $(screen | awk "length > 60") && $(screen) == *events* ]]'
press BSpace
check "back to the directories" screen_within 30 '[[ $(line 2) == "domains > directories  sorted"* ]]'
press Escape
check "back to the ranking" screen_within 30 '[[ $(line 2) == "domains  sorted"* ]]'
mux resize-window -t t -x 20 -y 2
check "tiny: it goes on" begins 2 "q quit"
mux resize-window -t t -x 120 -y 40
check "larger: it fills the screen" eval 'begins 40 "q quit" && shows blog.example'
press b
check "by account" eval 'shows "accounts  sorted" && [[ $(screen | grep -c alice) == 1 ]]'
press p
check "paused" shows PAUSED
press '?'
check "help" shows "rank domains or accounts"
press x
check "help closes" screen_within 30 '[[ $(screen) != *"rank domains or accounts"* ]]'
press q
check "q: exit status 0" shows "status=0"
check "the terminal is as it was" screen_within 30 'cmp -s "$tmp/before" "$tmp/after"'

press "clear; $smtpwall top --interval 0.5; echo status=\$?" Enter
check "again" shows "offenders"
run "$smtpwall" off
check "off: it ends, exit status 1" shows "status=1"
check "off: and says why" shows "is gone"
run "$smtpwall" apply
press "clear; TERM=nonsense $smtpwall top; echo status=\$?" Enter
check "an unknown kind of terminal" shows "TERM=nonsense; use"
done_testing
