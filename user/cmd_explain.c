/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "commands.h"
#include "decide.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "setup.h"
#include "util.h"

enum { OPT_UID = SW_OPT_OWN, OPT_GID, OPT_DEST, OPT_PORT, OPT_CGROUP_OF, OPT_REAL_UID,
       OPT_CONTAINER };

static const struct option own[] = {
	{ "uid", required_argument, NULL, OPT_UID },
	{ "gid", required_argument, NULL, OPT_GID },
	{ "real-uid", required_argument, NULL, OPT_REAL_UID },
	{ "dest", required_argument, NULL, OPT_DEST },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "cgroup-of", required_argument, NULL, OPT_CGROUP_OF },
	{ "container", no_argument, NULL, OPT_CONTAINER },
	{},
};

static const char usage[] =
	"Usage: smtpwall explain --uid USER [--dest ADDR] [--port N] [OPTION...]\n\n"
	"Which rule decides for this caller and destination, and why: by the same function that\n"
	"runs in the kernel, on the live policy. With --config it explains that file instead and\n"
	"does not touch the kernel.\n\n"
	"  --uid USER        effective user, name or number\n"
	"  --gid GROUP       effective primary group (default: the user's own)\n"
	"  --real-uid USER   real user, when it differs from the effective one\n"
	"  --dest ADDR       IPv4 or IPv6 address (default 192.0.2.1, a remote one)\n"
	"  --port N          (default 25)\n"
	"  --cgroup-of PATH  the caller runs in this cgroup, a path below the v2 root\n"
	"  --container       the caller is in another network or PID namespace than the host's\n";

struct question {
	struct sw_query q;
	bool have_uid, have_gid, have_ruid;
	const char *cgroup_of;
};

static int parse_dest(const char *text, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (inet_pton(AF_INET6, text, addr) == 1)
		return 0;
	addr[10] = addr[11] = 0xff;
	if (inet_pton(AF_INET, text, addr + 12) == 1)
		return 0;
	return log_err(SW_EXIT_USAGE, "'%s' is no IPv4 or IPv6 address; explain takes no host names",
		       text);
}

static int parse_port(const char *text, uint16_t *ret)
{
	uint32_t port;

	if (sw_id_parse(text, &port) < 0 || port < 1 || port > 65535)
		return log_err(SW_EXIT_USAGE, "'%s' is no port; use 1 to 65535", text);
	*ret = (uint16_t)port;
	return 0;
}

static int parse_user(const char *text, uint32_t *ret)
{
	if (sw_user_resolve(text, ret, NULL) < 0)
		return log_err(SW_EXIT_USAGE, "unknown user '%s'; a number works without an account",
			       text);
	return 0;
}

static int take(int val, const char *arg, void *data)
{
	struct question *k = data;

	switch (val) {
	case OPT_UID:
		k->have_uid = true;
		return parse_user(arg, &k->q.euid);
	case OPT_REAL_UID:
		k->have_ruid = true;
		return parse_user(arg, &k->q.ruid);
	case OPT_GID:
		k->have_gid = true;
		if (sw_group_resolve(arg, &k->q.egid, NULL) < 0)
			return log_err(SW_EXIT_USAGE, "unknown group '%s'", arg);
		return 0;
	case OPT_DEST:
		return parse_dest(arg, k->q.addr);
	case OPT_PORT:
		return parse_port(arg, &k->q.port);
	case OPT_CGROUP_OF:
		k->cgroup_of = arg;
		return 0;
	default:
		k->q.in_container = true;
		return 0;
	}
}

/* Ids of the cgroup and all above it, from level 1 down. */
static int resolve_cgroup(const char *path, struct sw_query *q)
{
	_cleanup_free_ char *root = NULL, *full = NULL;
	_cleanup_close_ int fd = -1;
	int level = 0, r;

	r = sw_cgroup_open(NULL, &fd, &root);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot find the cgroup v2 root: %s", strerror(-r));
	for (const char *end = path + strspn(path, "/"); *end; end += strspn(end, "/")) {
		_cleanup_close_ int dir = -1;
		_cleanup_free_ char *found = NULL;

		end += strcspn(end, "/");
		free(full);
		if (asprintf(&full, "%s/%.*s", root, (int)(end - path), path) < 0)
			return SW_EXIT_KERNEL;
		r = sw_cgroup_open(full, &dir, &found);
		if (!r && level < SW_MAX_CGROUP_LEVELS)
			r = sw_cgroup_id(dir, &q->cgroup[level++]);
		if (r < 0)
			return log_err(SW_EXIT_USAGE, "no cgroup %s: %s", full, strerror(-r));
	}
	return 0;
}

static int complete(struct question *k)
{
	const struct passwd *pw;

	if (!k->have_uid)
		return log_err(SW_EXIT_USAGE, "explain needs --uid; see smtpwall explain --help");
	if (!k->have_ruid)
		k->q.ruid = k->q.euid;
	if (!k->have_gid) {
		pw = getpwuid(k->q.euid);
		k->q.egid = pw ? pw->pw_gid : k->q.euid;
	}
	return k->cgroup_of ? resolve_cgroup(k->cgroup_of, &k->q) : 0;
}

static int ask_live(const struct sw_options *o, const struct sw_query *q, struct sw_answer *a)
{
	struct sw_live live;
	int r;

	r = sw_setup_live(o, &live);
	if (r)
		return r;
	if (!live.in_force)
		r = log_err(SW_EXIT_KERNEL, "nothing is in force in %s; 'smtpwall apply' first, or name "
			    "a file with --config", o->target.pin_dir);
	else if (sw_decide_live(&live, q, a) < 0)
		r = log_err(SW_EXIT_KERNEL, "cannot read the live maps");
	sw_live_close(&live);
	return r;
}

static int ask_file(const struct sw_options *o, const struct sw_query *q, struct sw_answer *a)
{
	struct sw_addrs local = {};
	struct sw_policy p;
	int r;

	sw_log_max = SW_LOG_ERROR;	/* whether enforcing is safe is not the question here */
	r = sw_setup_policy(o, true, false, &p);
	if (r < 0)
		return sw_exit_status(r);
	if (sw_locals_read(&local) < 0)
		r = log_err(SW_EXIT_KERNEL, "cannot read the addresses of this machine");
	else
		sw_decide_policy(&p, &local, q, a);
	free(local.item);
	sw_policy_free(&p);
	return r;
}

static void name_allow(const struct sw_answer *a, char *rule, size_t len)
{
	if (a->kind == SW_KIND_ANY)
		snprintf(rule, len, "allow any");
	else if (a->kind == SW_KIND_CGROUP)
		snprintf(rule, len, "allow cgroup");
	else
		snprintf(rule, len, "allow %s %llu", sw_kind_name(a->kind), (unsigned long long)a->id);
}

static void name_rule(const struct sw_answer *a, char *rule, size_t len)
{
	if (a->reason == SW_BY_RULE || a->reason == SW_BY_RULE_LIMIT)
		name_allow(a, rule, len);
	else if (a->kind)
		snprintf(rule, len, "exempt %s %llu", sw_kind_name(a->kind), (unsigned long long)a->id);
	else if (a->reason == SW_BY_DENIED_NOW)
		snprintf(rule, len, "deny");
	else if (a->reason == SW_BY_ACCOUNT_LIMIT || a->reason == SW_BY_SERVER_LIMIT)
		snprintf(rule, len, "limit%s%s%s", a->reason == SW_BY_SERVER_LIMIT ? " server" : "",
			 a->limit_channel ? " " : "",
			 a->limit_channel ? sw_channel_name(a->limit_channel) : "");
	else if (a->reason == SW_BY_LOCAL)
		snprintf(rule, len, "allow_local");
	else if (a->reason == SW_BY_COUNT_PORT)
		snprintf(rule, len, "count_ports");
	else
		snprintf(rule, len, "%s", a->smtp ? "deny_ports" : "none");
}

static void show(const struct sw_answer *a, enum sw_format format)
{
	const char *verdict = sw_verdict_name(a->verdict);
	char rule[64], line[300] = "";

	name_rule(a, rule, sizeof(rule));
	if (a->line)
		snprintf(line, sizeof(line), "%s:%u", a->source, a->line);
	else
		snprintf(line, sizeof(line), "%s", a->source);
	if (format == SW_FORMAT_JSON) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "verdict", json_object_new_string(verdict));
		json_object_object_add(o, "rule", json_object_new_string(rule));
		json_object_object_add(o, "reason", json_object_new_string(sw_reason_text(a->reason)));
		json_object_object_add(o, "channel", a->smtp ?
				       json_object_new_string(sw_channel_name(a->channel)) : NULL);
		json_object_object_add(o, "line", *line ? json_object_new_string(line) : NULL);
		printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else if (format == SW_FORMAT_TABLE) {
		printf("%s: %s\n", verdict, sw_reason_text(a->reason));
		printf("rule: %s%s%s%s\n", rule, *line ? " (" : "", line, *line ? ")" : "");
	} else {
		printf("%s\t%s\t%s\t%s\n", verdict, rule, sw_reason_name(a->reason), line);
	}
}

int cmd_explain(int argc, char **argv)
{
	struct question k = { .q.port = 25 };
	struct sw_options o;
	struct sw_answer a;
	int r;

	parse_dest("192.0.2.1", k.q.addr);
	r = sw_options_parse(argc, argv, usage, own, take, &k, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "explain takes no argument '%s'", argv[optind]);
	r = complete(&k);
	if (!r)
		r = o.config_named ? ask_file(&o, &k.q, &a) : ask_live(&o, &k.q, &a);
	if (!r)
		show(&a, o.format);
	return r;
}
