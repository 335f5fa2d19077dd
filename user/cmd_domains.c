/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attribute.h"
#include "commands.h"
#include "domains.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "out.h"
#include "report_setup.h"
#include "util.h"

enum { OPT_ROOT = SW_OPT_OWN, OPT_SOURCES };

static const struct option own[] = {
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "sources", required_argument, NULL, OPT_SOURCES },
	{},
};

static const char usage[] =
	"Usage: smtpwall domains [OPTION...] [UID|USER|DOMAIN|PATH]\n\n"
	"Which domain belongs to which account, and how that is known: what reports name offenders\n"
	"by. Without an argument: what each source gave, with the lines that could not be read.\n"
	"Exit status 1: nothing is known about it.\n\n"
	"  --root DIR        look at the machine below DIR\n"
	"  --sources LIST    auto (what is found here), or of: cpanel directadmin plesk\n"
	"                    hestia virtualmin ispconfig cyberpanel cloudpanel apache nginx\n"
	"                    php-fpm home\n"
	"Without either: what [domains] of the configuration says.\n\n"
	"Columns of tsv (no header) and csv, names of json:\n"
	"  uid user domain source directory kind\n"
	"without an argument:\n"
	"  name used files records bad_lines bad_file bad_line complete\n";

/* A row of an answer. The texts belong to others. */
struct row {
	uint32_t uid;		/* SW_UID_NONE: null */
	const char *user, *domain, *source, *directory, *kind;
};

#define CELLS 6

struct answer {
	struct row *row;
	size_t n, room;
};

static const char *const kinds[_SW_DOMAIN_KIND_MAX] = {
	[SW_DOMAIN_MAIN] = "main", [SW_DOMAIN_ADDON] = "addon", [SW_DOMAIN_SUB] = "sub",
	[SW_DOMAIN_ALIAS] = "alias",
};

static int take(int val, const char *arg, void *data)
{
	struct sw_domains_config *c = data;
	const char *bad;
	size_t len;

	if (val == OPT_ROOT) {
		c->root = arg;
		return 0;
	}
	c->sources = arg;
	if (sw_domains_check_sources(arg, &bad, &len) == 0)
		return 0;
	return log_err(SW_EXIT_USAGE, "unknown source '%.*s'; see smtpwall domains --help", (int)len,
		       bad);
}

static int add(struct answer *a, struct row row)
{
	if (a->n == a->room) {
		size_t room = a->room ? 2 * a->room : 16;
		struct row *more = reallocarray(a->row, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->row = more;
		a->room = room;
	}
	a->row[a->n++] = row;
	return 0;
}

/* `source` and `directory` NULL: those of the domain itself. */
static int add_domain(struct answer *a, const struct sw_domain *d, const char *source,
		      const char *directory)
{
	return add(a, (struct row){ d->uid, d->user, d->name, source ? source : d->source,
				    directory ? directory : d->docroot, kinds[d->kind] });
}

static int add_login(struct answer *a, struct sw_domains *d, const struct sw_login *l)
{
	size_t n;
	const struct sw_domain *const *list = sw_domains_of(d, l->name, &n);
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = add_domain(a, list[i], NULL, NULL);
	if (!n)
		r = add(a, (struct row){ l->uid, l->name, NULL, *l->home ? "home" : "none",
					 *l->home ? l->home : NULL, NULL });
	return r;
}

static int ask_path(struct answer *a, struct sw_domains *d, const char *path)
{
	const char *inside = sw_attribute_in_jail(path), *docroot = NULL;
	const struct sw_domain *found = sw_domains_at(d, path, NULL, &docroot);
	const struct sw_domain *const *list;
	const struct sw_login *l;
	size_t n;

	if (!found && inside)
		found = sw_domains_at(d, inside, NULL, &docroot);
	if (found)
		return add_domain(a, found, "docroot", docroot);
	l = sw_domains_home(d, inside && sw_domains_home(d, inside) ? inside : path);
	if (!l)
		return 0;
	list = sw_domains_of(d, l->name, &n);
	if (n)
		return add_domain(a, list[0], "home", l->home);
	return add(a, (struct row){ l->uid, l->name, NULL, "home", l->home, NULL });
}

/* A name can be a domain's and a login's. */
static int ask_name(struct answer *a, struct sw_domains *d, const char *name)
{
	const struct sw_domain *found = sw_domains_find(d, name);
	const struct sw_login *l = sw_domains_login_named(d, name);
	size_t n;
	const struct sw_domain *const *list = sw_domains_of(d, name, &n);
	int r = found ? add_domain(a, found, NULL, NULL) : 0;

	if (!r && l)
		return add_login(a, d, l);
	for (size_t i = 0; i < n && !r; i++)	/* panels may know accounts that are gone */
		r = add_domain(a, list[i], NULL, NULL);
	return r;
}

static int ask(struct answer *a, struct sw_domains *d, const char *what)
{
	const struct sw_login *l;
	uint32_t uid;

	if (*what == '/')
		return ask_path(a, d, what);
	if (sw_id_parse(what, &uid) < 0)
		return ask_name(a, d, what);
	l = sw_domains_login(d, uid);
	return l ? add_login(a, d, l) : 0;
}

static void fill_cells(const struct row *row, const char *cells[CELLS], char uid[16])
{
	snprintf(uid, 16, "%u", row->uid);
	cells[0] = row->uid != SW_UID_NONE ? uid : NULL;
	cells[1] = row->user;
	cells[2] = row->domain;
	cells[3] = row->source;
	cells[4] = row->directory;
	cells[5] = row->kind;
}

static int print_json_rows(const struct answer *a)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	int r;

	for (size_t i = 0; i < a->n; i++) {
		struct json_object *row = json_object_new_object();

		json_object_object_add(row, "uid", a->row[i].uid != SW_UID_NONE ?
				       json_object_new_int64(a->row[i].uid) : NULL);
		json_object_object_add(row, "user", sw_json_text(a->row[i].user));
		json_object_object_add(row, "domain", sw_json_text(a->row[i].domain));
		json_object_object_add(row, "source", sw_json_text(a->row[i].source));
		json_object_object_add(row, "directory", sw_json_text(a->row[i].directory));
		json_object_object_add(row, "kind", sw_json_text(a->row[i].kind));
		json_object_array_add(list, row);
	}
	json_object_object_add(o, "rows", list);
	r = sw_json_print(stdout, o);
	json_object_put(o);
	return r;
}

static const struct sw_column columns[] = {
	{ .title = "DOMAIN", .min = 16 },
	{ .title = "USER" },
	{ .title = "UID", .right = true },
	{ .title = "KIND", .drop = 1 },
	{ .title = "SOURCE" },
	{ .title = "DIRECTORY", .min = 12 },
};

static int print_table(const struct answer *a, bool color)
{
	struct sw_table t = { .columns = columns, .n_columns = ARRAY_SIZE(columns) };
	int r = 0;

	sw_screen_get(color, &t.screen);
	for (size_t i = 0; i < a->n && !r; i++) {
		const char *c[CELLS];
		char uid[16];

		fill_cells(&a->row[i], c, uid);
		for (size_t j = 0; j < CELLS; j++)
			c[j] = c[j] ? c[j] : "-";
		r = sw_table_add(&t, (const char *[]){ c[2], c[1], c[0], c[5], c[3], c[4] });
	}
	if (!r)
		sw_table_print(stdout, &t);
	sw_table_free(&t);
	return r;
}

static int print_rows(const struct answer *a, const struct sw_options *o)
{
	static const char *const names[CELLS] = {
		"uid", "user", "domain", "source", "directory", "kind",
	};
	int (*print)(FILE *, const char *const *, size_t) =
		o->format == SW_FORMAT_CSV ? sw_csv_row : sw_tsv_row;
	const char *cells[CELLS];
	char uid[16];
	int r = 0;

	if (o->format == SW_FORMAT_JSON)
		return print_json_rows(a);
	if (o->format == SW_FORMAT_TABLE)
		return a->n ? print_table(a, o->color) : 0;
	if (o->format == SW_FORMAT_CSV)
		r = print(stdout, names, CELLS);
	for (size_t i = 0; i < a->n && !r; i++) {
		fill_cells(&a->row[i], cells, uid);
		r = print(stdout, cells, CELLS);
	}
	return r;
}

static int print_json_sources(const struct sw_domains *d)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	struct sw_domain_source_state s;
	int r;

	for (size_t i = 0; sw_domains_source(d, i, &s); i++) {
		struct json_object *row = json_object_new_object();

		json_object_object_add(row, "name", sw_json_text(s.name));
		json_object_object_add(row, "used", json_object_new_boolean(s.loaded));
		json_object_object_add(row, "files", json_object_new_int64((int64_t)s.files));
		json_object_object_add(row, "records", json_object_new_int64((int64_t)s.records));
		json_object_object_add(row, "bad_lines", json_object_new_int64((int64_t)s.bad));
		json_object_object_add(row, "bad_file", sw_json_text(s.bad_file));
		json_object_object_add(row, "bad_line", s.bad_line ?
				       json_object_new_int64(s.bad_line) : NULL);
		json_object_object_add(row, "complete", json_object_new_boolean(!s.full));
		json_object_array_add(list, row);
	}
	json_object_object_add(o, "sources", list);
	r = sw_json_print(stdout, o);
	json_object_put(o);
	return r;
}

static const struct sw_column source_columns[] = {
	{ .title = "SOURCE" },
	{ .title = "USED" },
	{ .title = "FILES", .right = true },
	{ .title = "RECORDS", .right = true },
	{ .title = "BAD", .right = true, .loud = true },
	{ .title = "FIRST BAD LINE", .min = 16 },
};

static int print_source_table(const struct sw_domains *d, bool color)
{
	struct sw_table t = { .columns = source_columns, .n_columns = ARRAY_SIZE(source_columns) };
	char files[SW_NUMBER_LEN], records[SW_NUMBER_LEN], bad[SW_NUMBER_LEN];
	struct sw_domain_source_state s;
	int r = 0;

	sw_screen_get(color, &t.screen);
	for (size_t i = 0; sw_domains_source(d, i, &s) && !r; i++) {
		_cleanup_free_ char *where = NULL;

		if (asprintf(&where, s.bad_line ? "%s:%u" : "%s", s.bad_file ? s.bad_file : "-",
			     s.bad_line) < 0) {
			where = NULL;
			r = -ENOMEM;
			break;
		}
		r = sw_table_add(&t, (const char *[]){ s.name,
						       !s.loaded ? "no" : s.full ? "cut" : "yes",
						       sw_number(s.files, files),
						       sw_number(s.records, records),
						       sw_number(s.bad, bad), where });
	}
	if (!r)
		sw_table_print(stdout, &t);
	sw_table_free(&t);
	return r;
}

static int print_sources(const struct sw_domains *d, const struct sw_options *o)
{
	static const char *const names[] = {
		"name", "used", "files", "records", "bad_lines", "bad_file", "bad_line", "complete",
	};
	int (*print)(FILE *, const char *const *, size_t) =
		o->format == SW_FORMAT_CSV ? sw_csv_row : sw_tsv_row;
	struct sw_domain_source_state s;
	int r = 0;

	if (o->format == SW_FORMAT_JSON)
		return print_json_sources(d);
	if (o->format == SW_FORMAT_TABLE)
		return print_source_table(d, o->color);
	if (o->format == SW_FORMAT_CSV)
		r = print(stdout, names, ARRAY_SIZE(names));
	for (size_t i = 0; sw_domains_source(d, i, &s) && !r; i++) {
		char files[24], records[24], bad[24], line[24];

		snprintf(files, sizeof(files), "%zu", s.files);
		snprintf(records, sizeof(records), "%zu", s.records);
		snprintf(bad, sizeof(bad), "%llu", (unsigned long long)s.bad);
		snprintf(line, sizeof(line), "%u", s.bad_line);
		r = print(stdout, (const char *[]){ s.name, s.loaded ? "yes" : "no", files, records,
						    bad, s.bad_file, s.bad_line ? line : NULL,
						    s.full ? "no" : "yes" }, ARRAY_SIZE(names));
	}
	return r;
}

static int answer(struct sw_domains *d, const char *what, const struct sw_options *o)
{
	struct answer a = {};
	int r = ask(&a, d, what);

	/* A panel need not know everything that the web server does. */
	if (!r && (!a.n || !a.row[0].domain) && sw_domains_look_further(d)) {
		a.n = 0;
		r = ask(&a, d, what);
	}
	if (!r)
		r = print_rows(&a, o);
	free(a.row);
	if (!r && !a.n)
		return log_err(SW_EXIT_BAD, "nothing is known about '%s'; 'smtpwall domains' shows "
			       "which sources were read", what);
	return r < 0 ? log_err(SW_EXIT_KERNEL, "cannot answer: %s", strerror(-r)) : SW_EXIT_GOOD;
}

/* Where to look is on the command line, or else in the configuration, as for reports. */
static int open_domains(const struct sw_options *o, const struct sw_domains_config *c,
			struct sw_domains **ret)
{
	struct sw_domains *d = NULL;
	int r;

	if (!c->root && !c->sources)
		return sw_report_domains(o, ret);
	r = sw_domains_new(c, &d);
	if (r < 0)
		return log_err(SW_EXIT_USAGE, "cannot use the root directory '%s': %s", c->root,
			       strerror(-r));
	r = sw_domains_refresh(d);
	if (r < 0) {
		sw_domains_free(d);
		return log_err(SW_EXIT_KERNEL, "cannot read the sources: %s", strerror(-r));
	}
	*ret = d;
	return SW_EXIT_GOOD;
}

int cmd_domains(int argc, char **argv)
{
	struct sw_domains_config c = {};
	struct sw_domains *d = NULL;
	struct sw_options o;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &c, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (argc - optind > 1)
		return log_err(SW_EXIT_USAGE, "domains takes one argument, not also '%s'",
			       argv[optind + 1]);
	r = open_domains(&o, &c, &d);
	if (r)
		return r;
	if (optind < argc)
		r = answer(d, argv[optind], &o);
	else if (sw_domains_refresh_all(d) < 0 || print_sources(d, &o) < 0)
		r = log_err(SW_EXIT_KERNEL, "cannot show the sources");
	sw_domains_free(d);
	return r;
}
