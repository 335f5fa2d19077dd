/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "history.h"
#include "monitor_state.h"
#include "util.h"

#define FILE_NAME	"monitor.json"
#define LATE_S		60

/* The numbers, by name, in the order that they are written in. */
static const struct {
	const char *name;
	size_t offset;
} numbers[] = {
#define NUMBER(field) { #field, offsetof(struct sw_metrics_monitor, field) }
	NUMBER(events),	      NUMBER(rolls),	     NUMBER(rolls_failed), NUMBER(history_bytes),
	NUMBER(alerts_sent),  NUMBER(alerts_failed), NUMBER(alerts_held),  NUMBER(scrapes),
};

/* The directory that belongs to the monitor's user. */
static int open_dir(const char *state_dir)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/%s", state_dir, SW_HISTORY_DIR) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static struct json_object *to_json(const struct sw_monitor_state *s)
{
	struct json_object *o = json_object_new_object();
	uint64_t n;

	json_object_object_add(o, "pid", json_object_new_int64(s->pid));
	json_object_object_add(o, "updated", json_object_new_int64(s->updated));
	json_object_object_add(o, "started", json_object_new_int64(s->health.started));
	json_object_object_add(o, "rolled", json_object_new_int64(s->health.rolled));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		memcpy(&n, (const char *)&s->health + numbers[i].offset, sizeof(n));
		json_object_object_add(o, numbers[i].name, json_object_new_int64((int64_t)n));
	}
	json_object_object_add(o, "error", json_object_new_string(s->error));
	return o;
}

int sw_monitor_file_write(const char *state_dir, const char *name, const char *text)
{
	_cleanup_close_ int dir = open_dir(state_dir), fd = -1;
	_cleanup_free_ char *temp = NULL;
	size_t len = strlen(text);

	if (dir < 0)
		return dir;
	if (asprintf(&temp, ".%s", name) < 0) {
		temp = NULL;
		return -ENOMEM;
	}
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, text, len) != (ssize_t)len || renameat(dir, temp, dir, name) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

int sw_monitor_file_read(const char *state_dir, const char *name, char **ret)
{
	_cleanup_close_ int dir = open_dir(state_dir), fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > SW_MONITOR_FILE_MAX)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read(fd, text, (size_t)st.st_size);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	return 0;
}

int sw_monitor_state_write(const char *state_dir, const struct sw_monitor_state *s)
{
	struct json_object *o = to_json(s);
	int r = sw_monitor_file_write(state_dir, FILE_NAME, json_object_to_json_string(o));

	json_object_put(o);
	return r;
}

static int64_t number(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_int64(v) : 0;
}

static void from_json(struct json_object *o, struct sw_monitor_state *s)
{
	struct json_object *v;
	uint64_t n;

	s->pid = (pid_t)number(o, "pid");
	s->updated = number(o, "updated");
	s->health.started = number(o, "started");
	s->health.rolled = number(o, "rolled");
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		n = (uint64_t)number(o, numbers[i].name);
		memcpy((char *)&s->health + numbers[i].offset, &n, sizeof(n));
	}
	if (json_object_object_get_ex(o, "error", &v))
		snprintf(s->error, sizeof(s->error), "%s", json_object_get_string(v) ?: "");
}

int sw_monitor_state_read(const char *state_dir, struct sw_monitor_state *ret)
{
	_cleanup_free_ char *text = NULL;
	struct sw_monitor_state s = {};
	struct json_object *o;
	int r = sw_monitor_file_read(state_dir, FILE_NAME, &text);

	if (r < 0)
		return r;
	o = json_tokener_parse(text);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return -EBADMSG;
	}
	from_json(o, &s);
	json_object_put(o);
	*ret = s;
	return 0;
}

bool sw_monitor_state_is_running(const struct sw_monitor_state *s, time_t now)
{
	return s->pid > 0 && now - s->updated < LATE_S && (kill(s->pid, 0) == 0 || errno == EPERM);
}
