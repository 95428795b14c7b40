/* console LXCPATH NAME LOG: what the console of a running container has said, asked in every way there is. */
#include <sys/stat.h>

#include "say.h"

enum { BUFFER = 4096, TRIES = 500 };

static const char *log_file;

/*
 * Has `script` say `length` bytes on the console and waits until the monitor has them: it writes to the
 * log what it has in its buffer already.
 */
static void speak(struct lxc_container *c, const char *script, off_t length)
{
	struct stat before = { 0 }, now = { 0 };
	char command[256];

	need(stat(log_file, &before) == 0, "stat");
	snprintf(command, sizeof(command), "{ %s; } > /dev/console", script);
	need(c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c", command, NULL) == 0, command);
	for (int tries = 0; tries < TRIES && now.st_size < before.st_size + length; tries++) {
		need(stat(log_file, &now) == 0, "stat");
		usleep(20 * 1000);
	}
	need(now.st_size == before.st_size + length, "the log has what was said, and no more");
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

/* More than fits: the last of it stays. */
static void flood(struct lxc_container *c)
{
	const char *numbers = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; printf 'the last'";
	uint64_t most = 0;
	struct lxc_console_log log = { .read = true, .read_max = &most };

	speak(c, numbers, 10 * 3 + 90 * 4 + 900 * 5 + 2000 * 6 + 8);
	need(c->console_log(c, &log) == 0, "console_log");
	say_bool("no more than the buffer", most > 0 && most <= BUFFER);
	say_bool("the end of it", memcmp(log.data + most - 8, "the last", 8) == 0);
	free(log.data);
}

int main(int argc, char **argv)
{
	struct lxc_container *c;
	uint64_t most = 0;
	struct lxc_console_log log = { .read = true, .read_max = &most };

	need(argc == 4, "console LXCPATH NAME LOG");
	log_file = argv[3];
	c = lxc_container_new(argv[2], argv[1]);
	need(c != NULL, "lxc_container_new");

	speak(c, "echo hello", 7);
	ask(c, "read", true, false, 0);
	ask(c, "read again", true, false, 0);
	speak(c, "printf abcdef", 6);
	ask(c, "read two", true, false, 2);
	ask(c, "read the rest", true, false, 100);
	speak(c, "printf abc", 3);
	ask(c, "clear", false, true, 0);
	ask(c, "read what was cleared", true, false, 0);
	speak(c, "printf abc", 3);
	ask(c, "read one and clear", true, true, 1);
	ask(c, "read what was cleared", true, false, 5);
	speak(c, "printf abc", 3);
	ask(c, "neither", false, false, 2);
	ask(c, "read", true, false, 0);
	ask(c, "clear what is empty", false, true, 0);
	flood(c);
	need(c->stop(c), "stop");
	say("stopped", "%d", c->console_log(c, &log));
	say("put", "%d", lxc_container_put(c));
	return 0;
}
