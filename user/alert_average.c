/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is usual: averages that rules with a factor multiply. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

#define MAX_AVERAGES	(1 << 20)

bool sw_alerts_wants_averages(const struct sw_alerts *a)
{
	return a->need_averages;
}

void sw_alerts_averages_begin(struct sw_alerts *a)
{
	free(a->fresh);
	a->fresh = NULL;
	a->n_fresh = a->fresh_room = 0;
	a->averages_bad = false;
}

int sw_alerts_average(void *alerts, uint32_t uid, const double n[_SW_N_MAX])
{
	struct sw_alerts *a = alerts;
	struct sw_average v = { .uid = uid };
	bool any = false;

	for (int i = 0; i < _SW_N_MAX; i++) {
		v.n[i] = n[i] > 0 ? (float)n[i] : 0;
		any = any || v.n[i] > 0;
	}
	if (!any)
		return 0;
	if (a->n_fresh == a->fresh_room) {
		size_t room = a->fresh_room ? a->fresh_room * 2 : 256;
		struct sw_average *grown = room <= MAX_AVERAGES ?
			reallocarray(a->fresh, room, sizeof(*grown)) : NULL;

		/* Half of them would make alerts of the others. */
		a->averages_bad = a->averages_bad || !grown;
		if (!grown)
			return -ENOMEM;
		a->fresh = grown;
		a->fresh_room = room;
	}
	a->fresh[a->n_fresh++] = v;
	return 0;
}

static int compare_uid(const void *a, const void *b)
{
	const struct sw_average *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

void sw_alerts_averages_end(struct sw_alerts *a, bool good)
{
	if (!good || a->averages_bad) {
		sw_alerts_averages_begin(a);
		return;
	}
	free(a->average);
	a->average = a->fresh;
	a->n_average = a->n_fresh;
	a->fresh = NULL;
	a->n_fresh = a->fresh_room = 0;
	if (a->n_average)
		qsort(a->average, a->n_average, sizeof(*a->average), compare_uid);
	memset(a->server_average, 0, sizeof(a->server_average));
	for (size_t i = 0; i < a->n_average; i++)
		for (int j = 0; j < _SW_N_MAX; j++)
			a->server_average[j] += a->average[i].n[j];
	a->have_averages = true;
}

double sw_alerts_usual(const struct sw_alerts *a, const struct sw_alert_rule *r, uint32_t uid)
{
	const struct sw_average key = { .uid = uid };
	int slot = sw_alert_metric_slot(r->metric);
	const struct sw_average *found;

	if (r->scope == SW_SCOPE_SERVER)
		return a->server_average[slot];
	found = a->n_average ? bsearch(&key, a->average, a->n_average, sizeof(key), compare_uid) :
			       NULL;
	return found ? found->n[slot] : 0;
}
