/*
 * values LXCPATH KEYS OUT SAMPLES: sets what SAMPLES says, saves it in OUT, says every key of KEYS.
 * values LXCPATH KEYS IN: loads IN and says every key of KEYS.
 *
 * KEYS has a key a line, SAMPLES a `KEY = VALUE` a line.
 */
#include "say.h"

static FILE *file_of(const char *path)
{
	FILE *file = fopen(path, "re");

	need(file != NULL, path);
	return file;
}

/* The next line without its end. */
static bool next(FILE *file, char *line, int size)
{
	if (!fgets(line, size, file))
		return false;
	line[strcspn(line, "\n")] = 0;
	return true;
}

static void set(struct lxc_container *c, const char *path)
{
	FILE *file = file_of(path);
	char line[4096], label[4200];

	while (next(file, line, sizeof(line))) {
		char *value = strstr(line, " = ");

		need(value != NULL, line);
		*value = 0;
		snprintf(label, sizeof(label), "set %s = %s", line, value + 3);
		say_bool(label, c->set_config_item(c, line, value + 3));
	}
	fclose(file);
}

static void say_value(struct lxc_container *c, const char *key)
{
	int length = c->get_config_item(c, key, NULL, 0);
	char *value;

	if (length <= 0) {
		say(key, "%d", length);
		return;
	}
	value = calloc(1, (size_t)length + 1);
	need(value != NULL, "calloc");
	need(c->get_config_item(c, key, value, length + 1) == length, "the same length twice");
	say_text(key, value);
	free(value);
}

static void say_keys(struct lxc_container *c, const char *prefix)
{
	char text[4096] = "", label[256];
	int length = c->get_keys(c, prefix, text, sizeof(text));

	snprintf(label, sizeof(label), "get_keys %s", prefix);
	if (length < 0)
		say(label, "%d", length);
	else
		say_text(label, text);
}

int main(int argc, char **argv)
{
	static const char *const prefixes[] = {
		"lxc.apparmor", "lxc.cap", "lxc.cgroup", "lxc.console", "lxc.environment",
		"lxc.hook", "lxc.keyring", "lxc.monitor", "lxc.mount", "lxc.rootfs", "lxc.seccomp",
		"lxc.selinux", "lxc.signal", "lxc.start", "lxc.uts", "lxc", "lxc.net", "lxc.tty",
		"lxc.init", "lxc.net.0", "lxc.net.1", "lxc.net.2", "lxc.net.3", "lxc.net.4",
		"lxc.net.5", "lxc.net.9",
	};
	struct lxc_container *c;
	char line[4096];
	FILE *keys;

	need(argc == 4 || argc == 5, "values LXCPATH KEYS FILE [SAMPLES]");
	c = lxc_container_new("values", argv[1]);
	need(c != NULL, "lxc_container_new");
	if (argc == 5) {
		set(c, argv[4]);
		say_bool("save_config", c->save_config(c, argv[3]));
	} else {
		say_bool("load_config", c->load_config(c, argv[3]));
	}
	keys = file_of(argv[2]);
	while (next(keys, line, sizeof(line)))
		say_value(c, line);
	fclose(keys);
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		say_keys(c, prefixes[i]);
	say("put", "%d", lxc_container_put(c));
	return 0;
}
