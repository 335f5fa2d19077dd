/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "mapread.h"
#include "util.h"

/* Makes room for `room` rows in all. Zeroed: checkers cannot see what the kernel writes. */
static int grow(struct sw_map_dump *d, size_t room)
{
	char *keys = reallocarray(d->keys, room, d->key_size);
	char *values;

	if (!keys)
		return -ENOMEM;
	d->keys = keys;
	values = reallocarray(d->values, room, d->value_size);
	if (!values)
		return -ENOMEM;
	d->values = values;
	memset(d->keys + d->n * d->key_size, 0, (room - d->n) * d->key_size);
	memset(d->values + d->n * d->value_size, 0, (room - d->n) * d->value_size);
	return 0;
}

/* The kernel gives whole buckets, and says ENOSPC when the next one does not fit. */
static int read_batches(int fd, struct sw_map_dump *d, size_t *at_room)
{
	size_t room = *at_room;
	__u32 at = 0, next = 0, count;
	bool first = true;
	int r, err;

	do {
		if (room - d->n < 64)
			room *= 2;
		*at_room = room;
		r = grow(d, room);
		if (r < 0)
			return r;
		count = (__u32)(room - d->n);
		r = bpf_map_lookup_batch(fd, first ? NULL : &at, &next,
					 d->keys + d->n * d->key_size,
					 d->values + d->n * d->value_size, &count, NULL);
		err = r < 0 ? errno : 0;
		if (err == ENOSPC) {
			room *= 2;
			continue;
		}
		if (err && err != ENOENT)
			return -err;
		d->n += count;
		at = next;
		first = false;
	} while (err != ENOENT);
	return 0;
}

/* Tries have no batches everywhere, and where they have, with another cursor. Only a loader
 * changes one, under its lock: nothing moves while this looks. */
static int read_keys(int fd, struct sw_map_dump *d)
{
	size_t room = 0;
	int r;

	for (;;) {
		char *key;

		if (d->n == room) {
			room = room ? room * 2 : 64;
			r = grow(d, room);
			if (r < 0)
				return r;
		}
		key = d->keys + d->n * d->key_size;
		if (bpf_map_get_next_key(fd, d->n ? key - d->key_size : NULL, key) < 0)
			return errno == ENOENT ? 0 : -errno;
		if (bpf_map_lookup_elem(fd, key, d->values + d->n * d->value_size) == 0)
			d->n++;
		else if (errno != ENOENT || !d->n)
			return -errno;
	}
}

int sw_map_dump(int fd, struct sw_map_dump *ret)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	struct sw_map_dump d = {};
	size_t room = 1024;
	int r;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	d.key_size = info.key_size;
	d.value_size = info.value_size;
	r = info.type == BPF_MAP_TYPE_LPM_TRIE ? read_keys(fd, &d) : read_batches(fd, &d, &room);
	if (r < 0) {
		sw_map_dump_free(&d);
		return r;
	}
	*ret = d;
	return 0;
}

int sw_map_dump_again(int fd, struct sw_map_dump *d, size_t *room)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (d->key_size != info.key_size || d->value_size != info.value_size) {
		sw_map_dump_free(d);
		d->key_size = info.key_size;
		d->value_size = info.value_size;
		*room = 1024;
	}
	d->n = 0;
	return read_batches(fd, d, room);
}

void sw_map_dump_free(struct sw_map_dump *d)
{
	free(d->keys);
	free(d->values);
	*d = (struct sw_map_dump){};
}
