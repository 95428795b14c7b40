/*
 * hostile LXCPATH SEED CASES: any bytes as key, value, file and every other text.
 *
 * The library must answer false or a negative number, never end the program, and leave what it refuses
 * as it was. Runs in a directory of its own: a value may name a file to be made.
 */
#include "say.h"

static uint64_t seed;
static long failures;

/* xorshift: the same cases for the same seed, everywhere. */
static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static const char *const PARTS[] = {
	"lxc.", "lxc", ".", "=", " ", "\t", "\n", "\r", "\"", "'", "#", ":", "|", "-", "0", "1", "7", "99",
	"4294967296", "-1", "0x10", "net.", "net.0.", "net.7.type", "veth", "hook.", "start", "none",
	"u 0 100000 65536", "10.0.0.1/8", "::1/64", "%n", "%s%s%n", "SIGRTMIN+3", "k", "MB", "\xff",
	"\xc3\x28", "\xe2\x82", "\x01", "\x7f", "unlimited", "proc:rw", "cgroup2.", "auto", "dev",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static char **keys;
static size_t key_count;

/* A text of known parts and any bytes. */
static void compose(char *text, size_t size)
{
	size_t used = 0, parts = any(8);

	for (size_t i = 0; i < parts; i++) {
		if (any(3) == 0) {
			if (used + 2 < size)
				text[used++] = (char)(1 + any(255));
		} else {
			const char *part = PARTS[any(sizeof(PARTS) / sizeof(*PARTS))];

			if (used + strlen(part) + 1 < size) {
				memcpy(text + used, part, strlen(part));
				used += strlen(part);
			}
		}
	}
	text[used] = 0;
	/* Nothing outside the directory is named, not even by chance. */
	for (char *at = text; *at; at++)
		if (*at == '/')
			*at = '_';
}

static void compose_key(char *key, size_t size)
{
	switch (any(4)) {
	case 0:
		compose(key, size);
		return;
	case 1:
		snprintf(key, size, "%s.", keys[any(key_count)]);
		compose(key + strlen(key), size - strlen(key));
		return;
	default:
		snprintf(key, size, "%s", keys[any(key_count)]);
	}
}

static const char *const WATCHED[] = {
	"lxc.uts.name", "lxc.tty.max", "lxc.cap.drop", "lxc.net", "lxc.net.0.type", "lxc.net.0.ipv4.address",
	"lxc.environment", "lxc.hook.start", "lxc.mount.entry", "lxc.idmap", "lxc.rootfs.path",
	"lxc.signal.halt", "lxc.cgroup2", "lxc.prlimit", "lxc.autodev", "lxc.start.auto",
};

/* A fingerprint of what the object says. */
static uint64_t fingerprint(struct lxc_container *c)
{
	uint64_t hash = 14695981039346656037u;
	char value[8192];

	for (size_t i = 0; i < sizeof(WATCHED) / sizeof(*WATCHED); i++) {
		int length;

		memset(value, 0, sizeof(value));
		length = c->get_config_item(c, WATCHED[i], value, sizeof(value));
		hash = (hash ^ (uint64_t)(int64_t)length) * 1099511628211u;
		for (const char *at = value; *at; at++)
			hash = (hash ^ (unsigned char)*at) * 1099511628211u;
	}
	return hash;
}

static void expect(bool condition, const char *what, const char *key, const char *value)
{
	if (condition)
		return;
	failures++;
	fprintf(stderr, "%s: [%s] [%s]\n", what, key, value);
}

static void fresh(struct lxc_container *c)
{
	c->clear_config(c);
	need(c->set_config_item(c, "lxc.uts.name", "base"), "a name");
	need(c->set_config_item(c, "lxc.net.0.type", "veth"), "a device");
	need(c->set_config_item(c, "lxc.cap.drop", "sys_time"), "a list");
}

static void items(struct lxc_container *c, long cases)
{
	char key[512], value[512], read[64];
	long taken = 0, refused = 0;

	fresh(c);
	for (long i = 0; i < cases; i++) {
		uint64_t before = fingerprint(c);
		bool set;

		compose_key(key, sizeof(key));
		compose(value, sizeof(value));
		set = any(8) ? c->set_config_item(c, key, value) : c->clear_config_item(c, key);
		taken += set;
		refused += !set;
		expect(set || fingerprint(c) == before, "a refusal changed something", key, value);
		memset(read, 'x', sizeof(read));
		c->get_config_item(c, key, read, (int)any(sizeof(read) - 1));
		expect(read[sizeof(read) - 1] == 'x', "written behind the buffer", key, value);
		free(c->get_running_config_item(c, key));
		c->get_keys(c, key, read, (int)any(sizeof(read) - 1));
		expect(read[sizeof(read) - 1] == 'x', "written behind the buffer by get_keys", key, value);
		if (i % 50 == 49)
			fresh(c);
	}
	/* A generator that is refused always, or never, tests nothing. */
	say_bool("some were taken", taken > cases / 50);
	say_bool("some were refused", refused > cases / 4);
}

static void write_file(const char *path, long lines)
{
	FILE *file = fopen(path, "we");
	char key[512], value[512];

	need(file != NULL, path);
	for (long i = 0; i < lines; i++) {
		compose_key(key, sizeof(key));
		compose(value, sizeof(value));
		switch (any(5)) {
		case 0:
			fprintf(file, "%s%s", key, value);
			break;
		case 1: /* a byte that ends a C string, in the middle of a line */
			fprintf(file, "%s%c%s\n", key, 0, value);
			break;
		default:
			fprintf(file, "%s = %s\n", key, value);
		}
	}
	fclose(file);
}

static void files(struct lxc_container *c, const char *lxcpath, long cases)
{
	struct lxc_container *other;

	for (long i = 0; i < cases; i++) {
		uint64_t before;
		bool loaded;

		fresh(c);
		before = fingerprint(c);
		write_file("hostile.conf", 1 + (long)any(6));
		loaded = c->load_config(c, "hostile.conf");
		expect(loaded || fingerprint(c) == before, "a refused file changed something", "", "");
		if (i % 8)
			continue;
		/* The same as a container's own file. */
		write_file("hostile/config", 1 + (long)any(3));
		other = lxc_container_new("hostile", lxcpath);
		if (other)
			lxc_container_put(other);
	}
}

static void texts(struct lxc_container *c, long cases)
{
	char text[512], read[64];

	for (long i = 0; i < cases; i++) {
		compose(text, sizeof(text));
		expect(!c->wait(c, text, 0) || strstr(text, "STOPPED"), "waited for nothing", text, "");
		expect(c->get_cgroup_item(c, text, read, sizeof(read)) < 0, "a cgroup item", text, "");
		expect(!c->set_cgroup_item(c, text, text), "a cgroup item was set", text, "");
		expect(!c->get_ips(c, text, text, 0), "an address", text, "");
		expect(!c->snapshot_destroy(c, text), "a snapshot was destroyed", text, "");
		expect(!c->attach_interface(c, text, text), "an interface was moved", text, "");
		expect(c->attach_run_waitl(c, NULL, text, text, NULL) < 0, "attached", text, "");
		lxc_config_item_is_supported(text);
		expect(!text[0] || !lxc_has_api_extension(text), "an extension", text, "");
		expect(!lxc_get_global_config_item(text), "a global item", text, "");
	}
}

static void list_keys(struct lxc_container *c)
{
	int length = c->get_keys(c, NULL, NULL, 0);
	char *text = calloc(1, (size_t)length + 1), *rest;

	need(text && c->get_keys(c, NULL, text, length + 1) == length, "get_keys");
	keys = calloc((size_t)length, sizeof(*keys));
	need(keys != NULL, "calloc");
	for (char *key = strtok_r(text, "\n", &rest); key; key = strtok_r(NULL, "\n", &rest))
		keys[key_count++] = key;
}

int main(int argc, char **argv)
{
	struct lxc_container *c;
	long cases;

	need(argc == 4, "hostile LXCPATH SEED CASES");
	seed = strtoull(argv[2], NULL, 10) * 2654435769u + 1;
	cases = strtol(argv[3], NULL, 10);
	c = lxc_container_new("none", argv[1]);
	need(c != NULL, "lxc_container_new");
	list_keys(c);
	items(c, cases);
	files(c, argv[1], cases / 4);
	texts(c, cases / 10);
	say("failures", "%ld", failures);
	lxc_container_put(c);
	return 0;
}
