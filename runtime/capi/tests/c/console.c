/* console LXCPATH NAME: what the console of a running container has said, asked in every way there is. */
#include <errno.h>

#include "say.h"

enum { BUFFER = 4096, TRIES = 500 };

/* Has somebody inside say `text` on the console. */
static void speak(struct lxc_container *c, const char *text)
{
	char command[256];

	snprintf(command, sizeof(command), "printf '%s' > /dev/console", text);
	need(c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c", command, NULL) == 0, command);
}

/* One question: the answer, the number of bytes, and the bytes. */
static void ask(struct lxc_container *c, const char *name, bool read, bool clear, uint64_t most)
{
	struct lxc_console_log log = { .read = read, .clear = clear, .read_max = &most, .data = NULL };
	char label[128];

	say(name, "%d", c->console_log(c, &log));
	snprintf(label, sizeof(label), "%s: read_max", name);
	say(label, "%llu", (unsigned long long)most);
	snprintf(label, sizeof(label), "%s: data", name);
	if (!log.data) {
		say(label, "none");
		return;
	}
	/* What follows the data is a NUL. */
	say(label, "<%s> %zu", log.data, strlen(log.data));
	free(log.data);
}

/*
 * Says it and waits until it is there: what is written inside reaches the buffer a moment later. What
 * is asked with neither word set takes nothing away, but does not tell how much there is either; so the
 * last byte of another word behind it is waited for, by reading, and `text` is said again.
 */
static void say_and_wait(struct lxc_container *c, const char *text)
{
	uint64_t most;
	struct lxc_console_log log = { .read = true, .read_max = &most };
	char seen = 0;

	for (int tries = 0; tries < TRIES && seen != '|'; tries++) {
		if (tries == 0)
			speak(c, "|");
		most = 0;
		if (c->console_log(c, &log) == 0) {
			seen = log.data[most - 1];
			free(log.data);
		}
		usleep(20 * 1000);
	}
	need(seen == '|', "the console's buffer has what was said");
	speak(c, text);
	usleep(500 * 1000);
}

/* More than fits: the last of it stays. */
static void flood(struct lxc_container *c)
{
	uint64_t most = 0, all = 0;
	struct lxc_console_log log = { .read = true, .read_max = &most };
	bool small = true, whole = false;

	need(c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c",
				 "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done > /dev/console; "
				 "printf 'the last' > /dev/console", NULL) == 0, "flood");
	for (int tries = 0; tries < TRIES && !whole; tries++) {
		most = 0;
		if (c->console_log(c, &log) == 0) {
			small &= most <= BUFFER;
			all += most;
			whole = most >= 8 && memcmp(log.data + most - 8, "the last", 8) == 0;
			free(log.data);
		}
		usleep(20 * 1000);
	}
	say_bool("its end is there", whole);
	say_bool("no answer has more than the buffer", small && all > 0);
}

int main(int argc, char **argv)
{
	struct lxc_container *c;
	uint64_t most = 7;
	struct lxc_console_log log = { .read = true, .read_max = &most };

	need(argc == 3, "console LXCPATH NAME");
	c = lxc_container_new(argv[2], argv[1]);
	need(c != NULL, "lxc_container_new");

	say_and_wait(c, "hello\\n");
	ask(c, "read", true, false, 0);
	ask(c, "read again", true, false, 0);
	say_and_wait(c, "abcdef");
	ask(c, "read two", true, false, 2);
	ask(c, "read the rest", true, false, 100);
	say_and_wait(c, "abc");
	ask(c, "clear", false, true, 0);
	ask(c, "read what was cleared", true, false, 0);
	say_and_wait(c, "abc");
	ask(c, "read one and clear", true, true, 1);
	ask(c, "read what was cleared", true, false, 5);
	say_and_wait(c, "abc");
	ask(c, "neither", false, false, 2);
	ask(c, "read", true, false, 0);
	ask(c, "clear what is empty", false, true, 0);
	flood(c);
	need(c->stop(c), "stop");
	say("stopped", "%d", c->console_log(c, &log));
	say("its read_max", "%llu", (unsigned long long)most);
	say("put", "%d", lxc_container_put(c));
	return 0;
}
