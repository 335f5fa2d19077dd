/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a cgroup path says to people, for every manager of containers, and for hostile names. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "container.h"
#include "util.h"

#define ID	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_CUT	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define OTHER	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD	"12345678-1234-1234-1234-123456789abc"
#define POD_	"12345678_1234_1234_1234_123456789abc"
#define USER	"/user.slice/user-1001.slice/user@1001.service"
#define K8S	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice"

static const struct {
	const char *path, *want;
	bool container;
} rows[] = {
	/* docker, both drivers; in docker; names that only look so */
	{ "/system.slice/docker-" ID ".scope", "docker 0123456789ab", true },
	{ "/docker/" ID, "docker 0123456789ab", true },
	{ "/docker/" ID "/docker/" OTHER, "docker 0123456789ab", true },
	{ "/system.slice/docker-" ID ".scope/system.slice/exim4.service", "docker 0123456789ab",
	  true },
	{ "docker-" ID_CUT, "docker 0123456789ab", true },	/* a kept name, cut at its end */
	{ "/system.slice/docker.service", "unit docker.service", false },
	{ "/system.slice/docker-proxy.service", "unit docker-proxy.service", false },
	{ "/system.slice/docker-abc.scope", "unit docker-abc.scope", false },
	{ "/system.slice/docker-" ID "x.scope", "unit docker-" ID "x.scope", false },
	{ "/system.slice/docker-0123456789AB.scope", "unit docker-0123456789AB.scope", false },
	{ "/docker/buildx", "/docker/buildx", false },
	{ "/docker", "/docker", false },
	/* podman, as root, split, of a user; its monitor is none */
	{ "/system.slice/libpod-" ID ".scope", "podman 0123456789ab", true },
	{ "/machine.slice/libpod-" ID ".scope/container", "podman 0123456789ab", true },
	{ "/libpod_parent/libpod-" ID, "podman 0123456789ab", true },
	{ "/system.slice/web.service/libpod-payload-" ID,
	  "unit web.service podman 0123456789ab", true },
	{ USER "/user.slice/libpod-" ID ".scope", "user 1001 podman 0123456789ab", true },
	{ "/machine.slice/libpod-conmon-" ID ".scope", "unit libpod-conmon-" ID ".scope", false },
	/* containerd, cri-o without a pod */
	{ "/system.slice/nerdctl-" ID ".scope", "containerd 0123456789ab", true },
	{ "/x.slice/crio-" ID ".scope", "cri-o 0123456789ab", true },
	/* kubernetes, both drivers, and the two mixed up */
	{ K8S "/cri-containerd-" ID ".scope", "kubernetes " POD "/0123456789ab", true },
	{ K8S "/crio-" ID ".scope", "kubernetes " POD "/0123456789ab", true },
	{ K8S "/docker-" ID ".scope", "kubernetes " POD "/0123456789ab", true },
	{ "/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope/init.scope",
	  "kubernetes " POD "/0123456789ab", true },
	{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_
	  ".slice/crio-" ID ".scope", "kubernetes " POD "/0123456789ab", true },
	{ "/kubepods/besteffort/pod" POD "/" ID, "kubernetes " POD "/0123456789ab", true },
	{ "/kubepods/pod0123456789abcdef0123456789abcdef/" ID,
	  "kubernetes 0123456789abcdef0123456789abcdef/0123456789ab", true },	/* a static pod */
	{ "/system.slice/containerd.service/kubepods-pod" POD_ ".slice:cri-containerd:" ID,
	  "unit containerd.service kubernetes " POD "/0123456789ab", true },
	{ "kubepods-burstable-pod" POD_ ".slice/cri-containerd-" ID,
	  "kubernetes " POD "/0123456789ab", true },	/* the top is missing */
	{ K8S, "kubernetes " POD, true },
	{ K8S "/sub", "kubernetes " POD, true },
	{ K8S "/lxc.payload.x/crio-" ID ".scope", "kubernetes " POD "/0123456789ab", true },
	{ "/x.slice/x-pod" POD_ ".slice", "/x.slice/x-pod" POD_ ".slice", false },
	{ "/kubepods.slice", "/kubepods.slice", false },
	{ "/kubepods/pod123/x", "/kubepods/pod123/x", false },
	{ "/system.slice/podman.service", "unit podman.service", false },
	/* LXC, machines */
	{ "/lxc.payload.web1", "lxc web1", true },
	{ "/lxc.payload.web1/system.slice/cron.service", "lxc web1", true },
	{ "/lxc/101/ns/system.slice/cron.service", "lxc 101", true },
	{ "/lxc.monitor.web1", "/lxc.monitor.web1", false },
	{ "/a/lxc/web1", "/a/lxc/web1", false },
	{ "/lxc", "/lxc", false },
	{ "/lxc.payload.", "/lxc.payload.", false },
	{ "/machine.slice/machine-web1.scope", "machine web1", true },
	{ "/machine.slice/machine-qemu\\x2d1\\x2ddb.scope", "machine qemu-1-db", true },
	{ "/machine.slice/systemd-nspawn@web1.service/payload", "machine web1", true },
	{ "/machine.slice/machine-.scope", "unit machine-.scope", false },
	/* units */
	{ "/system.slice/php8.2-fpm.service", "unit php8.2-fpm.service", false },
	{ "/system.slice/system-postfix.slice/postfix@-.service", "unit postfix@-.service", false },
	{ "/system.slice/a.service/b.service", "unit a.service", false },
	{ "/init.scope", "unit init.scope", false },
	{ "/system.slice/a\\x2db.service", "unit a-b.service", false },
	{ "/system.slice/\\x5cx2d.service", "unit \\x2d.service", false },	/* decoded once */
	{ "/system.slice/a\\x00b.service", "unit a\\x00b.service", false },
	{ "/system.slice/a\\x2.service", "unit a\\x2.service", false },
	{ "/system.slice/a\\x0ab\\x1b.service", "unit a\nb\033.service", false },
	{ "/system.slice/.service", "/system.slice/.service", false },
	{ "/system.slice", "/system.slice", false },
	/* users: what they name is theirs */
	{ USER "/app.slice/x.service", "user 1001 unit x.service", false },
	{ "/user.slice/user-1001.slice/session-3.scope", "user 1001 unit session-3.scope", false },
	{ "/user.slice/user-1001.slice", "user 1001", false },
	{ "user@1001.service/app.slice/x.service", "user 1001 unit x.service", false },
	{ USER "/lxc.payload.root", "user 1001 lxc root", true },
	{ USER "/user-0.slice/x.service", "user 1001 unit x.service", false },
	{ "/system.slice/a.service/user-0.slice", "unit a.service", false },
	{ "/user.slice/user-1001x.slice", "/user.slice/user-1001x.slice", false },
	{ "/user.slice/user-12345678901.slice", "/user.slice/user-12345678901.slice", false },
	{ "/user-user@1.service", "unit user-user@1.service", false },
	/* CloudLinux */
	{ "/lve1001", "lve 1001", false },
	{ "/lve1001/sub", "lve 1001", false },
	{ "/lve", "/lve", false },
	{ "/lve10x", "/lve10x", false },
	{ "/a/lve1001", "/a/lve1001", false },
	/* nothing to say */
	{ "/", "/", false },
	{ "", "", false },
	{ "//system.slice//a.service/", "unit a.service", false },
	{ "/../../x", "/../../x", false },
	{ "/caf\xc3\xa9/\x01\x7f\xff", "/caf\xc3\xa9/\x01\x7f\xff", false },
};

static void test_describe(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[SW_CONTAINER_LEN];

		print_message("# row %zu\n", i);
		assert_int_equal(sw_container_describe(rows[i].path, text, sizeof(text)), 0);
		assert_string_equal(text, rows[i].want);
		assert_int_equal(sw_container_is_one(rows[i].path), rows[i].container);
	}
}

/* Every length: cut, terminated, nothing behind it touched. The heap block finds one byte more. */
static void test_short_buffer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t want = strlen(rows[i].want);

		assert_int_equal(sw_container_describe(rows[i].path, NULL, 0),
				 want ? -ENAMETOOLONG : 0);
		for (size_t len = 1; len <= want + 2; len++) {
			char *text = malloc(len);
			int r = sw_container_describe(rows[i].path, text, len);

			assert_int_equal(r, len > want ? 0 : -ENAMETOOLONG);
			assert_int_equal(strlen(text), len > want ? want : len - 1);
			assert_memory_equal(text, rows[i].want, strlen(text));
			free(text);
		}
	}
}

/* Names as long as the kernel allows, and longer; all of them end where they should. */
static void test_long_names(void **state)
{
	static const char *const shapes[][2] = {
		{ "/system.slice/", ".service" }, { "/machine.slice/machine-", ".scope" },
		{ "/lxc.payload.", "" }, { "/docker/", "" }, { "/", "" }, { "/lve", "" },
		{ "/kubepods/pod", "/x" }, { "/user.slice/user-", ".slice" },
	};
	char *path = malloc(100100), text[SW_CONTAINER_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		size_t n = strlen(shapes[i][0]);
		int r;

		memcpy(path, shapes[i][0], n);
		memset(path + n, '1', 100000);
		snprintf(path + n + 100000, 50, "%s", shapes[i][1]);
		r = sw_container_describe(path, text, sizeof(text));
		assert_int_equal(r != 0, strlen(text) == sizeof(text) - 1);
	}
	free(path);
}

/* No path at all makes it read or write beyond its own: the sanitizers look on. */
static void test_random_paths(void **state)
{
	static const char *const words[] = {
		"/", "docker", "docker-", "libpod-", "lxc", "lxc.payload.", "machine-", ".scope",
		".service", ".slice", ".slice:", ":cri-containerd:", "kubepods", "-pod", "pod", POD,
		ID, "user-", "user@", "1001", "lve", "\\x2d", "\\x", "\\", "crio-", "\xff", ".",
	};
	unsigned int seed = 25;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char path[1200] = "", *copy, *text = malloc(40);
		size_t used = 0;

		for (int n = rand_r(&seed) % 12; n > 0; n--)
			used += (size_t)snprintf(path + used, sizeof(path) - used, "%s",
						 words[(size_t)rand_r(&seed) % ARRAY_SIZE(words)]);
		copy = strdup(path);
		sw_container_describe(copy, text, 40);
		assert_true(strlen(text) < 40);
		sw_container_is_one(copy);
		free(copy);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_short_buffer),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_random_paths),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
