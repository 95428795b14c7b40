/*
 * lxc-c-door VERB NAME …: one call of liblxc.so.1, for scenarios that go through the C library.
 *
 * Is a table of verbs over struct lxc_container, the same as lxc-door's over the Rust library: words,
 * output and exit status are the same; the last four are C's alone. Knows lxc/lxccontainer.h and nothing
 * else of LXC: it runs on any liblxc.so.1. Never does what the library does not: a verb is one call, its
 * answer printed. A descriptor it is given is used as a client would, and what that shows is the answer.
 *
 * Exit status: 0 done, 1 refused (why on standard error, where the library says it), 2 misused;
 * `attach` ends as its command does (128 + n for signal n).
 *
 * LXC_C_DOOR_LXCPATH names another lxcpath than the library's own. LXC_C_DOOR_LOG=FILE has it log to that
 * file before anything else, from the level that LXC_C_DOOR_LEVEL names.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lxc/attach_options.h>
#include <lxc/lxccontainer.h>

enum { DONE = 0, REFUSED = 1, MISUSED = 2 };

/* The words behind the container's name, ended by NULL. */
typedef int call_t(struct lxc_container *c, char **rest);

static int create(struct lxc_container *c, char **rest);
static int start(struct lxc_container *c, char **rest);
static int stop(struct lxc_container *c, char **rest);
static int kill_it(struct lxc_container *c, char **rest);
static int reboot(struct lxc_container *c, char **rest);
static int attach(struct lxc_container *c, char **rest);
static int state(struct lxc_container *c, char **rest);
static int wait_for(struct lxc_container *c, char **rest);
static int ips(struct lxc_container *c, char **rest);
static int get(struct lxc_container *c, char **rest);
static int freeze(struct lxc_container *c, char **rest);
static int unfreeze(struct lxc_container *c, char **rest);
static int cgroup(struct lxc_container *c, char **rest);
static int console_log(struct lxc_container *c, char **rest);
static int destroy(struct lxc_container *c, char **rest);
static int extension(struct lxc_container *c, char **rest);
static int supported(struct lxc_container *c, char **rest);
static int pidfd(struct lxc_container *c, char **rest);
static int devpts(struct lxc_container *c, char **rest);

static const struct verb {
	const char *word, *rest;
	call_t *call;
} VERBS[] = {
	{ "create", "", create },
	{ "start", "[-- PROGRAM WORD…]", start },
	{ "stop", "[SECONDS]", stop },
	{ "kill", "", kill_it },
	{ "reboot", "SECONDS", reboot },
	{ "attach", "-- PROGRAM WORD…", attach },
	{ "state", "", state },
	{ "wait", "STATE[|STATE…] SECONDS", wait_for },
	{ "ips", "", ips },
	{ "get", "KEY", get },
	{ "freeze", "", freeze },
	{ "unfreeze", "", unfreeze },
	{ "cgroup", "FILE [VALUE]", cgroup },
	{ "console-log", "", console_log },
	{ "destroy", "", destroy },
	{ "extension", "EXTENSION", extension },
	{ "supported", "KEY", supported },
	{ "pidfd", "[SIGNAL]", pidfd },
	{ "devpts", "", devpts },
};
enum { VERB_COUNT = sizeof(VERBS) / sizeof(*VERBS) };

static int misused(const char *what)
{
	fprintf(stderr, "lxc-c-door: %s\n", what);
	return MISUSED;
}

static int refused(const struct lxc_container *c, const char *what)
{
	/* LXC in C leaves error_string empty and writes to its log. */
	fprintf(stderr, "lxc-c-door: %s\n", c && c->error_string ? c->error_string : what);
	return REFUSED;
}

static int done(const struct lxc_container *c, bool succeeded, const char *what)
{
	return succeeded ? DONE : refused(c, what);
}

/* Whole seconds; false when `word` is something else. */
static bool seconds(const char *word, int *value)
{
	char *end;
	long number;

	if (!word || *word < '0' || *word > '9')
		return false;
	number = strtol(word, &end, 10);
	*value = (int)number;
	return *end == 0 && number <= 1000000;
}

static int create(struct lxc_container *c, char **rest)
{
	(void)rest;
	return done(c, c->create(c, NULL, NULL, NULL, 0, NULL), "cannot create it");
}

static int start(struct lxc_container *c, char **rest)
{
	char **program = NULL;

	if (rest[0]) {
		if (strcmp(rest[0], "--") != 0)
			return misused("what stands behind the name of `start` is not --");
		program = rest[1] ? rest + 1 : NULL;
	}
	return done(c, c->start(c, 0, program), "cannot start it");
}

/* A clean shutdown, and a kill when it has not ended in time, as lxc-stop does. */
static int stop(struct lxc_container *c, char **rest)
{
	int limit = 60;

	if (rest[0] && !seconds(rest[0], &limit))
		return misused("SECONDS is no number");
	return done(c, c->shutdown(c, limit) || c->stop(c), "cannot stop it");
}

static int kill_it(struct lxc_container *c, char **rest)
{
	(void)rest;
	return done(c, c->stop(c), "cannot kill it");
}

static int reboot(struct lxc_container *c, char **rest)
{
	int limit;

	if (!seconds(rest[0], &limit))
		return misused("SECONDS is no number");
	return done(c, c->reboot2(c, limit), "it has not rebooted");
}

static int attach(struct lxc_container *c, char **rest)
{
	int status;

	if (!rest[0] || strcmp(rest[0], "--") != 0 || !rest[1])
		return misused("which program?");
	status = c->attach_run_wait(c, NULL, rest[1], (const char *const *)rest + 1);
	if (status < 0)
		return refused(c, "cannot attach to it");
	/* A program that could not begin has a status all the same. */
	if (c->error_string)
		fprintf(stderr, "lxc-c-door: %s\n", c->error_string);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int state(struct lxc_container *c, char **rest)
{
	(void)rest;
	puts(c->state(c));
	return DONE;
}

/* Whether each of the names joined by | is a state. */
static bool are_states(const char *names)
{
	const char *states[16];
	int count = lxc_get_wait_states(states);

	while (*names) {
		size_t length = strcspn(names, "|");
		bool known = length == 0;

		for (int i = 0; i < count; i++)
			known |= strlen(states[i]) == length && !strncmp(names, states[i], length);
		if (!known)
			return false;
		names += length + (names[length] == '|');
	}
	return true;
}

static int wait_for(struct lxc_container *c, char **rest)
{
	int limit;

	if (!rest[0] || !are_states(rest[0]))
		return misused("STATE is missing, or no state");
	if (!seconds(rest[1], &limit))
		return misused("SECONDS is no number");
	return c->wait(c, rest[0], limit) ? DONE : REFUSED;
}

static int ips(struct lxc_container *c, char **rest)
{
	char **found = c->get_ips(c, NULL, NULL, 0);

	(void)rest;
	for (size_t i = 0; found && found[i]; i++) {
		puts(found[i]);
		free(found[i]);
	}
	free(found);
	return DONE;
}

static int get(struct lxc_container *c, char **rest)
{
	int length;
	char *value;

	if (!rest[0])
		return misused("KEY is missing");
	length = c->get_config_item(c, rest[0], NULL, 0);
	if (length < 0)
		return refused(c, "cannot read that key");
	if (length == 0)
		return REFUSED;
	value = calloc(1, (size_t)length + 1);
	if (!value || c->get_config_item(c, rest[0], value, length + 1) != length) {
		free(value);
		return refused(c, "cannot read that key");
	}
	puts(value);
	free(value);
	return DONE;
}

static int freeze(struct lxc_container *c, char **rest)
{
	(void)rest;
	return done(c, c->freeze(c), "cannot freeze it");
}

static int unfreeze(struct lxc_container *c, char **rest)
{
	(void)rest;
	return done(c, c->unfreeze(c), "cannot let it go on");
}

/* What a file says is printed as by lxc-cgroup: a newline comes behind its own. */
static int cgroup(struct lxc_container *c, char **rest)
{
	enum { MOST = 4096 };
	char *content;
	int length;

	if (!rest[0])
		return misused("FILE is missing");
	if (rest[1])
		return done(c, c->set_cgroup_item(c, rest[0], rest[1]), "cannot write that file");
	content = calloc(1, MOST + 1);
	if (!content)
		return refused(NULL, "there is no memory");
	length = c->get_cgroup_item(c, rest[0], content, MOST);
	if (length >= 0)
		puts(content);
	free(content);
	return length >= 0 ? DONE : refused(c, "cannot read that file");
}

/* Everything that the buffer has, as it is. */
static int console_log(struct lxc_container *c, char **rest)
{
	uint64_t most = 0;
	struct lxc_console_log log = { .read = true, .read_max = &most };
	size_t written;

	(void)rest;
	if (c->console_log(c, &log) != 0)
		return refused(c, "cannot read its console's buffer");
	written = fwrite(log.data, 1, most, stdout);
	free(log.data);
	return written == most ? DONE : REFUSED;
}

static int destroy(struct lxc_container *c, char **rest)
{
	(void)rest;
	return done(c, c->destroy(c), "cannot destroy it");
}

/* Whether the library has an API extension. */
static int extension(struct lxc_container *c, char **rest)
{
	(void)c;
	if (!rest[0])
		return misused("EXTENSION is missing");
	return lxc_has_api_extension(rest[0]) ? DONE : REFUSED;
}

/* Whether the library has a configuration key. */
static int supported(struct lxc_container *c, char **rest)
{
	(void)c;
	if (!rest[0])
		return misused("KEY is missing");
	return lxc_config_item_is_supported(rest[0]) ? DONE : REFUSED;
}

/* The process that a pidfd means; 0 if that is none, or gone. */
static long meant_by(int pidfd)
{
	char path[64], line[128];
	long pid = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		if (sscanf(line, "Pid: %ld", &pid) == 1)
			break;
	if (info)
		fclose(info);
	return pid > 0 ? pid : 0;
}

/*
 * The pidfd of init: "init" if it means that process, and is closed by an exec. With a signal: sends it
 * that, and waits for the descriptor to say that it has ended.
 */
static int pidfd(struct lxc_container *c, char **rest)
{
	int init = c->init_pidfd(c);
	struct pollfd end = { .fd = init, .events = POLLIN };
	int signal = 0;

	if (init < 0) {
		fprintf(stderr, "lxc-c-door: init_pidfd: %s\n", strerrorname_np(-init));
		return REFUSED;
	}
	if (rest[0] && (!seconds(rest[0], &signal) || signal == 0))
		return misused("SIGNAL is no number");
	puts(meant_by(init) == c->init_pid(c) ? "init" : "another process");
	puts(fcntl(init, F_GETFD) & FD_CLOEXEC ? "closed by an exec" : "kept by an exec");
	/* Signal 0 reaches whoever is still there. */
	if (syscall(SYS_pidfd_send_signal, init, signal, NULL, 0) < 0) {
		perror("lxc-c-door: pidfd_send_signal");
		return REFUSED;
	}
	puts(poll(&end, 1, signal ? 15000 : 0) == 1 ? "ended" : "there");
	return DONE;
}

/*
 * The devpts of the container: the number of its filesystem's device, and what comes through a pair of
 * terminals that is made in it from outside.
 */
static int devpts(struct lxc_container *c, char **rest)
{
	int directory = c->devpts_fd(c), master, slave, unlocked = 0;
	char name[32], came[32] = "";
	unsigned int number;
	struct stat seen, by_name;

	(void)rest;
	if (directory < 0) {
		fprintf(stderr, "lxc-c-door: devpts_fd: %s\n", strerrorname_np(-directory));
		return REFUSED;
	}
	master = openat(directory, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0 ||
	    ioctl(master, TIOCGPTN, &number) < 0) {
		perror("lxc-c-door: ptmx");
		return REFUSED;
	}
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%u", number);
	if (slave < 0 || fstat(slave, &seen) < 0 || fstatat(directory, name, &by_name, 0) < 0 ||
	    write(slave, "through\n", 8) != 8 || read(master, came, sizeof(came) - 1) < 0) {
		perror("lxc-c-door: the pair");
		return REFUSED;
	}
	came[strcspn(came, "\r\n")] = 0;
	printf("%lu\n", (unsigned long)seen.st_dev);
	puts(seen.st_rdev == by_name.st_rdev ? "listed" : "not listed");
	puts(came);
	return DONE;
}

/* Begins to log if the environment says so; 0 or LXC's answer. */
static int log_as_told(const char *name)
{
	struct lxc_log log = {
		.name = name,
		.file = getenv("LXC_C_DOOR_LOG"),
		.level = getenv("LXC_C_DOOR_LEVEL"),
		.prefix = "lxc-c-door",
		.quiet = true,
	};

	return log.file ? lxc_log_init(&log) : 0;
}

int main(int argc, char **argv)
{
	const struct verb *verb = NULL;
	struct lxc_container *c;
	int status;

	for (size_t i = 0; argc >= 3 && i < VERB_COUNT; i++)
		if (!strcmp(argv[1], VERBS[i].word))
			verb = &VERBS[i];
	if (!verb) {
		fputs("usage:\n", stderr);
		for (size_t i = 0; i < VERB_COUNT; i++)
			fprintf(stderr, "  lxc-c-door %s NAME %s\n", VERBS[i].word, VERBS[i].rest);
		return MISUSED;
	}
	if (log_as_told(argv[2]) != 0)
		return refused(NULL, "cannot log there");
	c = lxc_container_new(argv[2], getenv("LXC_C_DOOR_LXCPATH"));
	if (!c)
		return refused(NULL, "the container cannot be opened");
	status = verb->call(c, argv + 3);
	lxc_container_put(c);
	lxc_log_close();
	return status;
}
