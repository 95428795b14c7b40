/*
 * life LXCPATH NAME BASE: a container from its creation to its destruction.
 *
 * BASE is a configuration to begin with. The template is busybox; the guest's shell does the talking.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "say.h"

static const char *lxcpath, *name;

static struct lxc_container *opened(void)
{
	struct lxc_container *c = lxc_container_new(name, lxcpath);

	need(c != NULL, "lxc_container_new");
	return c;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- attach ----------------------------------------------------------------------------------- */

static int attached(struct lxc_container *c, lxc_attach_exec_t function, void *payload,
		    lxc_attach_options_t *options)
{
	int status = -1;
	pid_t pid = -1;
	int result = c->attach(c, function, payload, options, &pid);

	if (result < 0)
		return result;
	/* It is a child of ours, and reaped by nobody else. */
	need(waitpid(pid, &status, 0) == pid, "waitpid of the attached process");
	return status;
}

static int says_42(void *payload)
{
	(void)payload;
	return 42;
}

static char host_mounts[64];

/* What a callback sees, told through the pipe that it finds in its memory. */
static int looks_around(void *payload)
{
	int out = *(int *)payload;
	char host[65] = "", mounts[64] = "", text[512];
	const char *container = getenv("container"), *extra = getenv("EXTRA"), *kept = getenv("KEPT");
	char *directory = getcwd(NULL, 0);
	int length;

	gethostname(host, sizeof(host));
	if (readlink("/proc/self/ns/mnt", mounts, sizeof(mounts) - 1) < 0)
		return 1;
	length = snprintf(text, sizeof(text), "%d %s %u %u %d %s %s %s %s", strcmp(host, name) == 0,
			  directory ? directory : "?", getuid(), getgid(), getgroups(0, NULL),
			  container ? container : "-", extra ? extra : "-", kept ? kept : "-",
			  strcmp(mounts, host_mounts) == 0 ? "host's mounts" : "own mounts");
	return write(out, text, (size_t)length) == length ? 0 : 1;
}

static void look(struct lxc_container *c, const char *label, lxc_attach_options_t *options)
{
	char text[512] = "";
	int ends[2], status;
	ssize_t length;

	need(pipe(ends) == 0, "pipe");
	status = attached(c, looks_around, &ends[1], options);
	close(ends[1]);
	length = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	say(label, "%d %s", status, length < 0 ? "?" : text);
}

static int run(struct lxc_container *c, lxc_attach_options_t *options, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return c->attach_run_wait(c, options, "/bin/sh", argv);
}

/* Runs `script` with its output in a pipe; says what came. */
static void output_of(struct lxc_container *c, const char *label, const char *script)
{
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	char text[512] = "";
	int ends[2], status;

	need(pipe2(ends, O_CLOEXEC) == 0, "pipe");
	options.stdout_fd = ends[1];
	status = run(c, &options, script);
	close(ends[1]);
	for (size_t used = 0; used < sizeof(text) - 1;) {
		ssize_t length = read(ends[0], text + used, sizeof(text) - 1 - used);

		if (length <= 0)
			break;
		used += (size_t)length;
	}
	close(ends[0]);
	say(label, "%d", status);
	say_text(label, text);
}

static atomic_bool over;
static atomic_long turns;

static void *allocates(void *nothing)
{
	(void)nothing;
	while (!atomic_load(&over)) {
		free(malloc(1000));
		atomic_fetch_add(&turns, 1);
	}
	return NULL;
}

static int allocates_inside(void *payload)
{
	char *text = malloc(4000);

	(void)payload;
	memset(text, 1, 4000);
	free(text);
	return 3;
}

/* Callbacks run while other threads of the caller hold its allocator's locks at any moment. */
static void attach_from_a_threaded_caller(struct lxc_container *c)
{
	pthread_t threads[4];
	int wrong = 0;

	for (int i = 0; i < 4; i++)
		need(pthread_create(&threads[i], NULL, allocates, NULL) == 0, "pthread_create");
	for (int i = 0; i < 20; i++)
		wrong += attached(c, allocates_inside, NULL, NULL) != 3 << 8;
	atomic_store(&over, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	say("callbacks that went wrong beside threads", "%d", wrong);
	say_bool("the threads went on", atomic_load(&turns) > 0);
}

static void attach(struct lxc_container *c)
{
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	char *shell_argv[] = { "sh", "-c", "exit 5", NULL }, *missing_argv[] = { "missing", NULL };
	lxc_attach_command_t shell = { "/bin/sh", shell_argv };
	lxc_attach_command_t missing = { "/nonexistent", missing_argv };
	const char *const passwd_argv[] = { "passwd", NULL }, *const argv[] = { "missing", NULL };
	char *extra[] = { "EXTRA=more", NULL }, *keep[] = { "KEPT", NULL };
	gid_t groups[] = { 7, 8, 9 };

	say("attach_run_wait exit 0", "%d", run(c, NULL, "exit 0"));
	say("attach_run_wait exit 7", "%d", run(c, &options, "exit 7"));
	say("attach_run_wait killed", "%d", run(c, &options, "kill -9 $$"));
	say("attach_run_wait missing", "%d", c->attach_run_wait(c, &options, "/nonexistent", argv));
	say("attach_run_wait not executable", "%d",
	    c->attach_run_wait(c, &options, "/etc/passwd", passwd_argv));
	say("attach_run_waitl", "%d",
	    c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c", "exit $#", "zero", "1", "2", NULL));
	say("attach run_command", "%d", attached(c, lxc_attach_run_command, &shell, &options));
	say("attach run_command missing", "%d", attached(c, lxc_attach_run_command, &missing, NULL));
	say("attach callback", "%d", attached(c, says_42, NULL, NULL));

	setenv("KEPT", "kept", 1);
	need(readlink("/proc/self/ns/mnt", host_mounts, sizeof(host_mounts) - 1) > 0, "readlink");
	look(c, "callback sees", NULL);
	options.extra_env_vars = extra;
	look(c, "callback with a variable", &options);
	options.env_policy = LXC_ATTACH_CLEAR_ENV;
	look(c, "callback with a clear environment", &options);
	options.extra_keep_env = keep;
	look(c, "callback with a kept variable", &options);
	options = (lxc_attach_options_t)LXC_ATTACH_OPTIONS_DEFAULT;
	options.uid = 1000;
	options.gid = 1001;
	look(c, "callback as another user", &options);
	options.groups.list = groups;
	options.groups.size = 3;
	options.attach_flags |= LXC_ATTACH_SETGROUPS;
	look(c, "callback with groups", &options);
	options = (lxc_attach_options_t)LXC_ATTACH_OPTIONS_DEFAULT;
	options.initial_cwd = "/proc";
	look(c, "callback in a directory", &options);
	options.initial_cwd = "/nonexistent";
	look(c, "callback in a missing directory", &options);
	options = (lxc_attach_options_t)LXC_ATTACH_OPTIONS_DEFAULT;
	options.namespaces = CLONE_NEWUTS;
	options.initial_cwd = "/";
	look(c, "callback in one namespace", &options);

	output_of(c, "output", "echo to a pipe; hostname >/dev/null");
	output_of(c, "descriptors inside", "for f in /proc/$$/fd/[3-9]; do readlink $f; done; true");
	attach_from_a_threaded_caller(c);
}

/* ---- what a running container is asked -------------------------------------------------------- */

static void say_array(const char *label, char **texts)
{
	printf("%s=", label);
	if (!texts)
		fputs("NULL", stdout);
	for (size_t i = 0; texts && texts[i]; i++) {
		printf("%s%s", i ? " " : "", texts[i]);
		free(texts[i]);
	}
	putchar('\n');
	fflush(stdout);
	free(texts);
}

static void cgroup_items(struct lxc_container *c)
{
	char value[64] = "xxxxxxxxxxxxxxx";

	say_bool("set_cgroup_item", c->set_cgroup_item(c, "pids.max", "123"));
	say("length of pids.max", "%d", c->get_cgroup_item(c, "pids.max", NULL, 0));
	say("get_cgroup_item", "%d", c->get_cgroup_item(c, "pids.max", value, sizeof(value)));
	value[4] = 0;
	say_text("pids.max", value);
	memset(value, 'x', sizeof(value));
	say("get_cgroup_item short", "%d", c->get_cgroup_item(c, "pids.max", value, 2));
	value[4] = 0;
	say_text("pids.max short", value);
	say("get_cgroup_item no buffer", "%d", c->get_cgroup_item(c, "pids.max", NULL, 5));
	say("get_cgroup_item no length", "%d", c->get_cgroup_item(c, "pids.max", value, 0));
	say("get_cgroup_item missing", "%d", c->get_cgroup_item(c, "pids.nonsense", value, 5));
	say_bool("set_cgroup_item missing", c->set_cgroup_item(c, "pids.nonsense", "1"));
	say_bool("set_cgroup_item empty", c->set_cgroup_item(c, "pids.max", ""));
	say_bool("set_cgroup_item bad", c->set_cgroup_item(c, "pids.max", "many"));
}

static void terminals(struct lxc_container *c)
{
	int tty = 1, master = -1, other, taken = 1, again = -1;
	uint64_t most = 0;
	struct lxc_console_log request = { .read = true, .read_max = &most };

	other = c->console_getfd(c, &tty, &master);
	say_bool("console_getfd", other >= 0);
	say("its number", "%d", tty);
	say_bool("it is a terminal", isatty(master));
	say_bool("it closes at exec", fcntl(master, F_GETFD) == FD_CLOEXEC);
	say_bool("a tty that is lent", c->console_getfd(c, &taken, &again) < 0);
	taken = 99;
	say_bool("a tty that is not there", c->console_getfd(c, &taken, &again) < 0);
	close(master);
	close(other);
	say("console_log without a buffer", "%d", c->console_log(c, &request));
}

/* Whether the pidfd is of `pid`, is not inherited, and shows whether its process has ended. */
static void pidfd(int fd, pid_t pid)
{
	char path[64], line[128];
	int seen = -1;
	FILE *info;

	say_bool("init_pidfd", fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		sscanf(line, "Pid: %d", &seen);
	if (info)
		fclose(info);
	say_bool("it is init's", seen == pid);
	say_bool("it closes at exec", fcntl(fd, F_GETFD) == FD_CLOEXEC);
	say("signal 0 to it", "%ld", syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}

static bool has_ended(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLIN };

	return poll(&end, 1, 5000) == 1;
}

static void running(struct lxc_container *c)
{
	struct lxc_container *again;
	pid_t init;
	int fd;
	char *value;

	say("numthreads", "%d", c->numthreads);
	say_text("state", c->state(c));
	say_bool("is_running", c->is_running(c));
	init = c->init_pid(c);
	say_bool("init runs", init > 0 && kill(init, 0) == 0);
	fd = c->init_pidfd(c);
	pidfd(fd, init);
	say_bool("start again", c->startl(c, 0, "/bin/sleep", "1000", NULL));
	say("error_num of it", "%d", c->error_num);
	say_bool("wait RUNNING", c->wait(c, "RUNNING", 5));
	say_bool("wait STOPPED 1", c->wait(c, "STOPPED", 1));
	say_bool("may_control", c->may_control(c));
	value = c->get_running_config_item(c, "lxc.tty.max");
	say_text("running lxc.tty.max", value);
	free(value);
	say_text("running unset", c->get_running_config_item(c, "lxc.console.path"));
	say_text("running unknown", c->get_running_config_item(c, "lxc.nonsense"));
	/* What is set afterwards is in this object only. */
	say_bool("set behind it", c->set_config_item(c, "lxc.tty.max", "7"));
	value = c->get_running_config_item(c, "lxc.tty.max");
	say_text("running lxc.tty.max", value);
	free(value);
	say_bool("destroy", c->destroy(c));
	say_bool("is still defined", c->is_defined(c));

	again = opened();
	say_text("state by another object", again->state(again));
	say_bool("same init by another object", again->init_pid(again) == init);
	lxc_container_put(again);

	say_array("get_interfaces", c->get_interfaces(c));
	say_array("get_ips", c->get_ips(c, NULL, NULL, 0));
	say_array("get_ips lo", c->get_ips(c, "lo", NULL, 0));
	say_array("get_ips lo inet", c->get_ips(c, "lo", "inet", 0));
	say_array("get_ips lo inet6", c->get_ips(c, "lo", "inet6", 0));
	say_array("get_ips lo nonsense", c->get_ips(c, "lo", "nonsense", 0));
	say_array("get_ips none", c->get_ips(c, "none0", NULL, 0));
	cgroup_items(c);
	terminals(c);
	say("seccomp_notify_fd", "%d", c->seccomp_notify_fd(c));
	say("seccomp_notify_fd_active", "%d", c->seccomp_notify_fd_active(c));
	say("devpts_fd without one", "%d", c->devpts_fd(c));
	attach(c);

	say_bool("freeze", c->freeze(c));
	say_text("state frozen", c->state(c));
	say_bool("freeze again", c->freeze(c));
	say_bool("wait FROZEN", c->wait(c, "FROZEN", 5));
	say_bool("unfreeze", c->unfreeze(c));
	say_bool("unfreeze again", c->unfreeze(c));
	say_text("state thawed", c->state(c));

	say_bool("stop", c->stop(c));
	say_bool("the pidfd says so", has_ended(fd));
	say_text("state", c->state(c));
	close(fd);
}

/* ---- starts ------------------------------------------------------------------------------------ */

static void foreground(const char *label, const char *program, const char *word, const char *script)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		struct lxc_container *c = opened();
		bool started;

		c->want_daemonize(c, false);
		started = c->startl(c, 0, program, word, script, NULL);
		say(label, "%d %d", started, c->error_num);
		lxc_container_put(c);
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child, "waitpid");
	say(label, "wait status %d", status);
}

static long number_in(const char *path)
{
	long number = -1;
	FILE *file = fopen(path, "re");

	if (file && fscanf(file, "%ld", &number) != 1)
		number = -1;
	if (file)
		fclose(file);
	return number;
}

static void failing_starts(struct lxc_container *c)
{
	char *missing[] = { "/nonexistent", NULL };

	say_bool("start of a missing program", c->start(c, 0, missing));
	say("error_num of it", "%d", c->error_num);
	say_text("state", c->state(c));
}

static void pid_file(struct lxc_container *c)
{
	char path[4096], title[4096] = "", expected[4096];
	long monitor;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.pid", lxcpath, name);
	c->pidfile = strdup(path);
	say_bool("start with a pid file", c->startl(c, 0, "/bin/sleep", "1000", NULL));
	say_bool("pidfile afterwards", c->pidfile == NULL);
	monitor = number_in(path);
	snprintf(title, sizeof(title), "/proc/%ld/cmdline", monitor);
	file = fopen(title, "re");
	title[0] = 0;
	if (file && !fgets(title, sizeof(title), file))
		title[0] = 0;
	if (file)
		fclose(file);
	snprintf(expected, sizeof(expected), "[lxc monitor] %s %s", lxcpath, name);
	say_bool("the monitor's pid is in it", strcmp(title, expected) == 0);
	say_bool("stop", c->stop(c));
	/* The monitor removes it behind the answer to stop. */
	for (double end = now() + 5; now() < end && access(path, F_OK) == 0;)
		usleep(5000);
	say_bool("the pid file is gone", access(path, F_OK) != 0);
}

/* An init that has its handlers: one that has only just begun loses the signal. */
static bool init_is_ready(struct lxc_container *c)
{
	for (double end = now() + 10; now() < end; usleep(20000))
		if (run(c, NULL, "pidof syslogd >/dev/null") == 0)
			return true;
	return false;
}

static void with_an_init(struct lxc_container *c)
{
	pid_t before;
	double begun;

	say_bool("start", c->start(c, 0, NULL));
	say("error_num", "%d", c->error_num);
	need(init_is_ready(c), "init is ready");
	before = c->init_pid(c);
	say_bool("reboot2", c->reboot2(c, 15));
	say_bool("another init", c->init_pid(c) != before && c->init_pid(c) > 0);
	need(init_is_ready(c), "init is ready again");
	before = c->init_pid(c);
	say_bool("reboot", c->reboot(c));
	for (double end = now() + 15; now() < end; usleep(20000))
		if (c->init_pid(c) > 0 && c->init_pid(c) != before)
			break;
	say_bool("another init", c->init_pid(c) > 0 && c->init_pid(c) != before);
	need(init_is_ready(c), "init is ready once more");
	say_bool("shutdown", c->shutdown(c, 15));
	say_text("state", c->state(c));

	/* `sleep` as pid 1 has no handler for any signal. */
	say_bool("start what does not listen", c->startl(c, 0, "/bin/sleep", "1000", NULL));
	begun = now();
	say_bool("shutdown in vain", c->shutdown(c, 1));
	say_bool("it took its time", now() - begun > 0.9 && now() - begun < 3);
	say_bool("shutdown 0", c->shutdown(c, 0));
	say_text("state", c->state(c));
	say_bool("stop", c->stop(c));
	say_bool("stop again", c->stop(c));
}

static void created(struct lxc_container *c, const char *base)
{
	char *none[] = { NULL };
	char directory[4096];

	say_bool("load the base", c->load_config(c, base));
	say_bool("create of a missing template",
		 c->create(c, "nonexistent", NULL, NULL, LXC_CREATE_QUIET, none));
	say_bool("is_defined", c->is_defined(c));
	say_bool("create", c->create(c, "busybox", NULL, NULL, LXC_CREATE_QUIET, none));
	say_bool("is_defined", c->is_defined(c));
	say_bool("create again", c->create(c, "busybox", NULL, NULL, LXC_CREATE_QUIET, none));
	say_bool("is still defined", c->is_defined(c));
	snprintf(directory, sizeof(directory), "%s/%s/rootfs/sbin/init", lxcpath, name);
	say_bool("has an init", access(directory, F_OK) == 0);
	say_bool("set lxc.tty.max", c->set_config_item(c, "lxc.tty.max", "2"));
	say_bool("set lxc.pty.max", c->set_config_item(c, "lxc.pty.max", ""));
	say_bool("save_config", c->save_config(c, NULL));
}

int main(int argc, char **argv)
{
	struct lxc_container *c;
	char directory[4096];

	need(argc == 4, "life LXCPATH NAME BASE");
	lxcpath = argv[1];
	name = argv[2];
	c = opened();
	created(c, argv[3]);
	say_bool("start", c->startl(c, 0, "/bin/sleep", "1000", NULL));
	say("error_num", "%d", c->error_num);
	say_bool("lxc_conf", c->lxc_conf != NULL);
	running(c);
	lxc_container_put(c);
	c = opened();
	failing_starts(c);
	pid_file(c);
	with_an_init(c);
	foreground("foreground", "/bin/sh", "-c", "exit 7");
	foreground("foreground 0", "/bin/sh", "-c", "exit 0");
	foreground("foreground missing", "/nonexistent", NULL, NULL);
	say_bool("destroy", c->destroy(c));
	say_bool("is_defined", c->is_defined(c));
	snprintf(directory, sizeof(directory), "%s/%s", lxcpath, name);
	say_bool("nothing is left", access(directory, F_OK) != 0);
	say("put", "%d", lxc_container_put(c));
	return 0;
}
