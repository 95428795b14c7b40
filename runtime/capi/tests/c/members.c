/*
 * members LXCPATH LOGS: every function and member at its edges, on `stopped`, which is defined below
 * LXCPATH; whatever else is used is made up here. Log files go to the directory LOGS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "say.h"

static const char *lxcpath;
static struct lxc_container *stopped;

static struct lxc_container *opened(const char *name)
{
	struct lxc_container *c = lxc_container_new(name, lxcpath);

	need(c != NULL, name);
	return c;
}

/* ---- the object ------------------------------------------------------------------------------- */

static void object(void)
{
	struct lxc_container *c = opened("stopped");
	char *file;

	say_bool("new without name", lxc_container_new(NULL, lxcpath) == NULL);
	say_text("name", c->name);
	say_bool("configfile is below lxcpath", strncmp(c->configfile, lxcpath, strlen(lxcpath)) == 0);
	say_text("pidfile", c->pidfile);
	say_bool("has slock", c->slock != NULL);
	say_bool("has privlock", c->privlock != NULL);
	say("numthreads", "%d", c->numthreads);
	say_bool("has lxc_conf", c->lxc_conf != NULL);
	say("error_num", "%d", c->error_num);
	say_bool("daemonize", c->daemonize);
	say_bool("config_path", strcmp(c->config_path, lxcpath) == 0);
	file = c->config_file_name(c);
	say_bool("config_file_name is configfile", strcmp(file, c->configfile) == 0);
	free(file);

	say("get", "%d", lxc_container_get(c));
	say("numthreads after get", "%d", c->numthreads);
	say("put", "%d", lxc_container_put(c));
	say("numthreads after put", "%d", c->numthreads);
	say("last put", "%d", lxc_container_put(c));
	say("get NULL", "%d", lxc_container_get(NULL));
	say("put NULL", "%d", lxc_container_put(NULL));

	/* What clients do with the fields that are theirs. */
	c = opened("stopped");
	free(c->configfile);
	c->configfile = NULL;
	say_bool("is_defined without configfile", c->is_defined(c));
	say_text("config_file_name without configfile", c->config_file_name(c));
	say_bool("save_config without configfile", c->save_config(c, NULL));
	say_bool("load_config without configfile", c->load_config(c, NULL));
	c->configfile = strdup("/nonexistent/config");
	say_bool("is_defined with another configfile", c->is_defined(c));
	say_bool("load_config with another configfile", c->load_config(c, NULL));
	c->clear_config(c);
	say_bool("lxc_conf after clear_config", c->lxc_conf == NULL);
	c->lxc_conf = NULL;
	c->clear_config(c);
	say("put of a bare one", "%d", lxc_container_put(c));
}

/* ---- c == NULL -------------------------------------------------------------------------------- */

#define ON_NOTHING(member, call)                                                                   \
	static void nothing_##member(const char *name)                                             \
	{                                                                                          \
		struct lxc_container *nothing = NULL;                                              \
		call;                                                                              \
	}
#define BOOL(member, ...) ON_NOTHING(member, say_bool(name, stopped->member(nothing, ##__VA_ARGS__)))
#define INT(member, ...) ON_NOTHING(member, say(name, "%d", stopped->member(nothing, ##__VA_ARGS__)))
#define POINTER(member, ...) \
	ON_NOTHING(member, say_bool(name, stopped->member(nothing, ##__VA_ARGS__) == NULL))

static int number;
static pid_t pid;
static struct lxc_snapshot *snapshots;
static struct lxc_console_log console_log_request;
static struct migrate_opts migrate_options;
static struct lxc_mount mount_version = { LXC_MOUNT_API_V1 };
static char text[64];

BOOL(is_defined)
POINTER(state)
BOOL(is_running)
BOOL(freeze)
BOOL(unfreeze)
INT(init_pid)
BOOL(load_config, NULL)
BOOL(start, 0, NULL)
BOOL(startl, 0, NULL)
BOOL(stop)
BOOL(want_daemonize, true)
BOOL(want_close_all_fds, true)
POINTER(config_file_name)
BOOL(wait, "STOPPED", 0)
BOOL(set_config_item, "lxc.uts.name", "x")
BOOL(destroy)
BOOL(save_config, NULL)
BOOL(create, NULL, NULL, NULL, 0, NULL)
BOOL(createl, NULL, NULL, NULL, 0, NULL)
BOOL(rename, "x")
BOOL(reboot)
BOOL(shutdown, 0)
ON_NOTHING(clear_config, (stopped->clear_config(nothing), say(name, "returned")))
BOOL(clear_config_item, "lxc.uts.name")
INT(get_config_item, "lxc.uts.name", text, 64)
POINTER(get_running_config_item, "lxc.uts.name")
INT(get_keys, NULL, text, 64)
POINTER(get_interfaces)
POINTER(get_ips, NULL, NULL, 0)
INT(get_cgroup_item, "pids.max", text, 64)
BOOL(set_cgroup_item, "pids.max", "10")
POINTER(get_config_path)
BOOL(set_config_path, "/nonexistent")
POINTER(clone, "x", NULL, 0, NULL, NULL, 0, NULL)
INT(console_getfd, &number, &number)
INT(console, 0, 0, 1, 2, 1)
INT(attach, lxc_attach_run_shell, NULL, NULL, &pid)
INT(attach_run_wait, NULL, "/bin/true", NULL)
INT(attach_run_waitl, NULL, "/bin/true", "true", NULL)
INT(snapshot, NULL)
INT(snapshot_list, &snapshots)
BOOL(snapshot_restore, "snap0", NULL)
BOOL(snapshot_destroy, "snap0")
BOOL(may_control)
BOOL(add_device_node, "/dev/null", NULL)
BOOL(remove_device_node, "/dev/null", NULL)
BOOL(attach_interface, "none0", NULL)
BOOL(detach_interface, "none0", NULL)
BOOL(checkpoint, "/nonexistent", false, false)
BOOL(restore, "/nonexistent", false)
BOOL(destroy_with_snapshots)
BOOL(snapshot_destroy_all)
INT(migrate, MIGRATE_FEATURE_CHECK, &migrate_options, sizeof(migrate_options))
INT(console_log, &console_log_request)
BOOL(reboot2, 0)
INT(mount, NULL, "/mnt", "tmpfs", 0, NULL, &mount_version)
INT(umount, "/mnt", 0, &mount_version)
INT(seccomp_notify_fd)
INT(seccomp_notify_fd_active)
INT(init_pidfd)
INT(devpts_fd)

#define NOTHING(member) { "NULL->" #member, nothing_##member }
static const struct {
	const char *name;
	void (*check)(const char *name);
} ON_NULL[] = {
	NOTHING(is_defined), NOTHING(state), NOTHING(is_running), NOTHING(freeze), NOTHING(unfreeze),
	NOTHING(init_pid), NOTHING(load_config), NOTHING(start), NOTHING(startl), NOTHING(stop),
	NOTHING(want_daemonize), NOTHING(want_close_all_fds), NOTHING(config_file_name), NOTHING(wait),
	NOTHING(set_config_item), NOTHING(destroy), NOTHING(save_config), NOTHING(create),
	NOTHING(createl), NOTHING(rename), NOTHING(reboot), NOTHING(shutdown), NOTHING(clear_config),
	NOTHING(clear_config_item), NOTHING(get_config_item), NOTHING(get_running_config_item),
	NOTHING(get_keys), NOTHING(get_interfaces), NOTHING(get_ips), NOTHING(get_cgroup_item),
	NOTHING(set_cgroup_item), NOTHING(get_config_path), NOTHING(set_config_path), NOTHING(clone),
	NOTHING(console_getfd), NOTHING(console), NOTHING(attach), NOTHING(attach_run_wait),
	NOTHING(attach_run_waitl), NOTHING(snapshot), NOTHING(snapshot_list), NOTHING(snapshot_restore),
	NOTHING(snapshot_destroy), NOTHING(may_control), NOTHING(add_device_node),
	NOTHING(remove_device_node), NOTHING(attach_interface), NOTHING(detach_interface),
	NOTHING(checkpoint), NOTHING(restore), NOTHING(destroy_with_snapshots),
	NOTHING(snapshot_destroy_all), NOTHING(migrate), NOTHING(console_log), NOTHING(reboot2),
	NOTHING(mount), NOTHING(umount), NOTHING(seccomp_notify_fd), NOTHING(seccomp_notify_fd_active),
	NOTHING(init_pidfd), NOTHING(devpts_fd),
};

/* ---- NULL and empty arguments ----------------------------------------------------------------- */

#define WITH(number, call) static void with_##number(const char *name) { call; }
WITH(0, say_bool(name, stopped->wait(stopped, NULL, 0)))
WITH(1, say_bool(name, stopped->set_config_item(stopped, NULL, "x")))
WITH(2, say_bool(name, stopped->clear_config_item(stopped, NULL)))
WITH(3, say(name, "%d", stopped->get_config_item(stopped, NULL, text, 64)))
WITH(4, say_text(name, stopped->get_running_config_item(stopped, NULL)))
WITH(5, say(name, "%d", stopped->get_cgroup_item(stopped, NULL, text, 64)))
WITH(6, say_bool(name, stopped->set_cgroup_item(stopped, NULL, "1")))
WITH(7, say_bool(name, stopped->set_cgroup_item(stopped, "pids.max", NULL)))
WITH(8, say_bool(name, stopped->set_config_path(stopped, NULL)))
WITH(9, say_bool(name, lxc_config_item_is_supported(NULL)))
WITH(10, say_bool(name, lxc_has_api_extension(NULL)))
WITH(11, say_text(name, lxc_get_global_config_item(NULL)))
WITH(12, say(name, "%d", lxc_log_init(NULL)))
WITH(13, say_bool(name, stopped->rename(stopped, NULL)))
WITH(14, say_bool(name, stopped->snapshot_restore(stopped, NULL, NULL)))
WITH(15, say_bool(name, stopped->snapshot_destroy(stopped, NULL)))
WITH(16, say(name, "%d", stopped->snapshot_list(stopped, NULL)))
WITH(17, say_bool(name, stopped->attach_interface(stopped, NULL, NULL)))
WITH(18, say_bool(name, stopped->detach_interface(stopped, NULL, NULL)))
WITH(19, say_bool(name, stopped->add_device_node(stopped, NULL, NULL)))
WITH(20, say_bool(name, stopped->remove_device_node(stopped, NULL, NULL)))
WITH(21, say(name, "%d", stopped->attach(stopped, NULL, NULL, NULL, &pid)))
WITH(22, say(name, "%d", stopped->attach(stopped, lxc_attach_run_shell, NULL, NULL, NULL)))
WITH(23, say(name, "%d", stopped->attach_run_wait(stopped, NULL, NULL, NULL)))
WITH(24, say(name, "%d", stopped->console_getfd(stopped, NULL, NULL)))
WITH(25, say(name, "%d", stopped->console_log(stopped, NULL)))
WITH(26, say(name, "%d", stopped->umount(stopped, NULL, 0, NULL)))
WITH(27, say(name, "%d", stopped->mount(stopped, NULL, NULL, NULL, 0, NULL, NULL)))
WITH(28, say_bool(name, stopped->checkpoint(stopped, NULL, false, false)))
WITH(29, say_bool(name, stopped->restore(stopped, NULL, false)))
WITH(30, say(name, "%d", stopped->migrate(stopped, MIGRATE_FEATURE_CHECK, NULL, 0)))
WITH(31, say(name, "%d", lxc_get_wait_states(NULL)))
WITH(32, say(name, "%d", list_all_containers(lxcpath, NULL, NULL)))
WITH(33, say_bool(name, stopped->clone(stopped, NULL, NULL, 0, NULL, NULL, 0, NULL) == NULL))

#define ARGUMENTS(number, name) { name, with_##number }
static const struct {
	const char *name;
	void (*check)(const char *name);
} ON_NO_ARGUMENT[] = {
	ARGUMENTS(0, "wait NULL"), ARGUMENTS(1, "set_config_item NULL key"),
	ARGUMENTS(2, "clear_config_item NULL"), ARGUMENTS(3, "get_config_item NULL key"),
	ARGUMENTS(4, "get_running_config_item NULL"), ARGUMENTS(5, "get_cgroup_item NULL"),
	ARGUMENTS(6, "set_cgroup_item NULL file"), ARGUMENTS(7, "set_cgroup_item NULL value"),
	ARGUMENTS(8, "set_config_path NULL"), ARGUMENTS(9, "is_supported NULL"),
	ARGUMENTS(10, "has_api_extension NULL"), ARGUMENTS(11, "global item NULL"),
	ARGUMENTS(12, "log_init NULL"), ARGUMENTS(13, "rename NULL"),
	ARGUMENTS(14, "snapshot_restore NULL"), ARGUMENTS(15, "snapshot_destroy NULL"),
	ARGUMENTS(16, "snapshot_list NULL"), ARGUMENTS(17, "attach_interface NULL"),
	ARGUMENTS(18, "detach_interface NULL"), ARGUMENTS(19, "add_device_node NULL"),
	ARGUMENTS(20, "remove_device_node NULL"), ARGUMENTS(21, "attach NULL function"),
	ARGUMENTS(22, "attach NULL pid"), ARGUMENTS(23, "attach_run_wait NULL"),
	ARGUMENTS(24, "console_getfd NULL"), ARGUMENTS(25, "console_log NULL"),
	ARGUMENTS(26, "umount NULL"), ARGUMENTS(27, "mount NULL"), ARGUMENTS(28, "checkpoint NULL"),
	ARGUMENTS(29, "restore NULL"), ARGUMENTS(30, "migrate NULL"),
	ARGUMENTS(31, "wait states into NULL"), ARGUMENTS(32, "list into NULL"),
	ARGUMENTS(33, "clone onto itself"),
};

/* ---- a stopped container ---------------------------------------------------------------------- */

static void on_a_stopped_one(void)
{
	struct lxc_container *c = stopped;
	lxc_attach_options_t options = LXC_ATTACH_OPTIONS_DEFAULT;
	const char *const true_argv[] = { "true", NULL };
	uint64_t most = 0;
	struct lxc_console_log request = { .read = true, .read_max = &most };
	int tty = -1, master = -1;

	say_bool("is_defined", c->is_defined(c));
	say_text("state", c->state(c));
	say_bool("is_running", c->is_running(c));
	say("init_pid", "%d", c->init_pid(c));
	say("init_pidfd", "%d", c->init_pidfd(c));
	say("devpts_fd", "%d", c->devpts_fd(c));
	say("seccomp_notify_fd", "%d", c->seccomp_notify_fd(c));
	say("seccomp_notify_fd_active", "%d", c->seccomp_notify_fd_active(c));
	say("console_getfd", "%d", c->console_getfd(c, &tty, &master));
	say("console_log", "%d", c->console_log(c, &request));
	say("console", "%d", c->console(c, 1, 0, 1, 2, 1));
	say("attach", "%d", c->attach(c, lxc_attach_run_shell, NULL, &options, &pid));
	say("attach_run_wait", "%d", c->attach_run_wait(c, &options, "/bin/true", true_argv));
	say("attach_run_waitl", "%d", c->attach_run_waitl(c, NULL, "/bin/true", "true", NULL));
	say_bool("stop", c->stop(c));
	say_bool("shutdown", c->shutdown(c, 1));
	say_bool("reboot", c->reboot(c));
	say_bool("reboot2", c->reboot2(c, 1));
	say_bool("freeze", c->freeze(c));
	say_bool("unfreeze", c->unfreeze(c));
	say_bool("may_control", c->may_control(c));
	say_text("get_running_config_item", c->get_running_config_item(c, "lxc.uts.name"));
	say("get_cgroup_item", "%d", c->get_cgroup_item(c, "pids.max", text, sizeof(text)));
	say_bool("set_cgroup_item", c->set_cgroup_item(c, "pids.max", "10"));
	say_bool("get_interfaces", c->get_interfaces(c) == NULL);
	say_bool("get_ips", c->get_ips(c, NULL, NULL, 0) == NULL);
	say_bool("add_device_node", c->add_device_node(c, "/dev/null", NULL));
	say_bool("remove_device_node", c->remove_device_node(c, "/dev/null", NULL));
	say_bool("attach_interface", c->attach_interface(c, "none0", NULL));
	say_bool("detach_interface", c->detach_interface(c, "none0", NULL));
	say_bool("checkpoint", c->checkpoint(c, (char *)lxcpath, false, false));
	say("umount", "%d", c->umount(c, "/mnt", 0, &mount_version));
	say("mount without shmounts", "%d", c->mount(c, NULL, "/mnt", "tmpfs", 0, NULL, &mount_version));
	snapshots = (struct lxc_snapshot *)&number;
	say("snapshot_list", "%d", c->snapshot_list(c, &snapshots));
	say_bool("snapshot_list left its argument", snapshots == (struct lxc_snapshot *)&number);
	say_bool("snapshot_destroy", c->snapshot_destroy(c, "snap0"));
	say_bool("snapshot_destroy_all", c->snapshot_destroy_all(c));
	say_bool("snapshot_restore", c->snapshot_restore(c, "snap0", "other"));
	say_bool("want_daemonize", c->want_daemonize(c, true));
	say_bool("want_close_all_fds", c->want_close_all_fds(c, false));
	say_bool("is still defined", c->is_defined(c));
}

static void waits(void)
{
	static const struct {
		const char *states;
		int seconds;
	} rows[] = {
		{ "STOPPED", 0 }, { "STOPPED", -1 }, { "STOPPED", 1 }, { "RUNNING|STOPPED", 0 },
		{ "|STOPPED|", 0 }, { "RUNNING", 0 }, { "RUNNING", 1 }, { "stopped", 0 },
		{ "NONSENSE", 0 }, { "STOPPED|NONSENSE", 0 }, { "", 0 }, { "|", 0 },
	};
	char name[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(name, sizeof(name), "wait %s %d", rows[i].states, rows[i].seconds);
		say_bool(name, stopped->wait(stopped, rows[i].states, rows[i].seconds));
	}
}

/* ---- without a configuration ------------------------------------------------------------------ */

static void on_one_without_configuration(void)
{
	struct lxc_container *c = opened("none");
	char *no_argument[] = { NULL };

	say_bool("none: is_defined", c->is_defined(c));
	say_bool("none: lxc_conf", c->lxc_conf != NULL);
	say_text("none: state", c->state(c));
	say("none: get_config_item", "%d", c->get_config_item(c, "lxc.uts.name", text, 64));
	say("none: get_keys prefix", "%d", c->get_keys(c, "lxc.cap", text, 64));
	say_bool("none: get_keys", c->get_keys(c, NULL, NULL, 0) > 1000);
	say_bool("none: clear_config_item", c->clear_config_item(c, "lxc.uts.name"));
	say_text("none: get_running_config_item", c->get_running_config_item(c, "lxc.uts.name"));
	say_bool("none: want_daemonize", c->want_daemonize(c, true));
	say_bool("none: want_close_all_fds", c->want_close_all_fds(c, true));
	say_bool("none: freeze", c->freeze(c));
	say_bool("none: unfreeze", c->unfreeze(c));
	say_bool("none: stop", c->stop(c));
	say_bool("none: shutdown", c->shutdown(c, 1));
	say_bool("none: reboot", c->reboot(c));
	say_bool("none: reboot2", c->reboot2(c, 1));
	say_bool("none: start", c->start(c, 0, no_argument));
	say_bool("none: destroy", c->destroy(c));
	say_bool("none: rename", c->rename(c, "other"));
	say_bool("none: clone", c->clone(c, "other", NULL, 0, NULL, NULL, 0, NULL) == NULL);
	say("none: snapshot", "%d", c->snapshot(c, NULL));
	say("none: seccomp_notify_fd", "%d", c->seccomp_notify_fd(c));
	say("none: seccomp_notify_fd_active", "%d", c->seccomp_notify_fd_active(c));
	say("none: mount", "%d", c->mount(c, NULL, "/mnt", "tmpfs", 0, NULL, &mount_version));
	say("none: umount", "%d", c->umount(c, "/mnt", 0, &mount_version));
	say_bool("none: get_interfaces", c->get_interfaces(c) == NULL);
	say_bool("none: may_control", c->may_control(c));
	say_bool("none: load_config", c->load_config(c, NULL));
	say_bool("none: load_config elsewhere", c->load_config(c, "/nonexistent"));
	/* Setting a value makes a configuration, in memory only. */
	say_bool("none: refused value", c->set_config_item(c, "lxc.tty.max", "many"));
	say_bool("none: set_config_item", c->set_config_item(c, "lxc.uts.name", "mine"));
	say_bool("none: lxc_conf after set", c->lxc_conf != NULL);
	say("none: get_config_item after set", "%d", c->get_config_item(c, "lxc.uts.name", NULL, 0));
	say_bool("none: is_defined after set", c->is_defined(c));
	lxc_container_put(c);
}

/* ---- configuration ---------------------------------------------------------------------------- */

static void configuration(void)
{
	struct lxc_container *c = opened("scratch");
	char other[4096], long_value[300], *keys;
	int length;

	say_bool("set", c->set_config_item(c, "lxc.uts.name", "abcdef"));
	say_bool("set number", c->set_config_item(c, "lxc.tty.max", "1234"));
	say_bool("set list", c->set_config_item(c, "lxc.cap.drop", "sys_time sys_module"));
	say_bool("set unknown", c->set_config_item(c, "lxc.nonsense", "x"));
	say_bool("set empty key", c->set_config_item(c, "", "x"));
	say_bool("set legacy key", c->set_config_item(c, "lxc.utsname", "x"));
	say_bool("set bad number", c->set_config_item(c, "lxc.tty.max", "-1"));
	say("get unknown", "%d", c->get_config_item(c, "lxc.nonsense", text, 64));
	say("get empty key", "%d", c->get_config_item(c, "", text, 64));
	say("get include", "%d", c->get_config_item(c, "lxc.include", text, 64));
	say("get hook", "%d", c->get_config_item(c, "lxc.hook", text, 64));
	say("get missing device", "%d", c->get_config_item(c, "lxc.net.3.type", text, 64));
	say_bool("make a device", c->set_config_item(c, "lxc.net.3.type", "veth"));
	say("get device", "%d", c->get_config_item(c, "lxc.net.3", text, 64));
	say("get unknown sub-key", "%d", c->get_config_item(c, "lxc.net.3.nonsense", text, 64));

	for (int size = 0; size <= 8; size++) {
		say_buffer(c, "lxc.uts.name", size);
		say_buffer(c, "lxc.tty.max", size);
		say_buffer(c, "lxc.net.3.type", size);
	}
	say_buffer(c, "lxc.cap.drop", 12);
	say_buffer(c, "lxc.rootfs.path", 12);
	say_buffer(c, "lxc.net.3.link", 12);
	say_buffer(c, "lxc.environment", 12);
	say("length with NULL", "%d", c->get_config_item(c, "lxc.uts.name", NULL, 64));
	say("length of a list", "%d", c->get_config_item(c, "lxc.cap.drop", NULL, 0));

	length = c->get_keys(c, NULL, NULL, 0);
	keys = malloc((size_t)length + 1);
	say_bool("get_keys twice", c->get_keys(c, NULL, keys, length + 1) == length);
	say_bool("get_keys ends", keys[length] == 0 && keys[length - 1] == '\n');
	free(keys);
	memset(text, 'x', sizeof(text));
	say("get_keys short", "%d", c->get_keys(c, "lxc.cap", text, 6));
	text[sizeof(text) - 1] = 0;
	say_bool("get_keys short is ended", strlen(text) < 6);
	say("get_keys empty prefix", "%d", c->get_keys(c, "", text, 64));
	say("get_keys unknown prefix", "%d", c->get_keys(c, "lxc.nonsense", text, 64));
	say("get_keys net", "%d", c->get_keys(c, "lxc.net", text, 64));
	say("get_keys net.3", "%d", c->get_keys(c, "lxc.net.3", NULL, 0));
	say("get_keys net.4", "%d", c->get_keys(c, "lxc.net.4", text, 64));

	say_bool("clear", c->clear_config_item(c, "lxc.uts.name"));
	say("after clear", "%d", c->get_config_item(c, "lxc.uts.name", NULL, 0));
	say_bool("clear unknown", c->clear_config_item(c, "lxc.nonsense"));
	say_bool("clear empty", c->clear_config_item(c, ""));
	say_bool("set NULL clears", c->set_config_item(c, "lxc.cap.drop", NULL));
	say("after set NULL", "%d", c->get_config_item(c, "lxc.cap.drop", NULL, 0));
	say_bool("autodev empty", c->set_config_item(c, "lxc.autodev", ""));
	say_buffer(c, "lxc.autodev", 4);
	say_bool("autodev clear", c->clear_config_item(c, "lxc.autodev"));
	say_buffer(c, "lxc.autodev", 4);
	memset(long_value, 'n', sizeof(long_value) - 1);
	long_value[sizeof(long_value) - 1] = 0;
	say_bool("too long a name", c->set_config_item(c, "lxc.uts.name", long_value));

	say_bool("save_config", c->save_config(c, NULL));
	say_bool("is_defined after save", c->is_defined(c));
	snprintf(other, sizeof(other), "%s/other.conf", lxcpath);
	say_bool("save_config elsewhere", c->save_config(c, other));
	say_bool("save_config nowhere", c->save_config(c, "/nonexistent/there"));
	/* What is loaded is added to what is there. */
	say_bool("add to a list", c->set_config_item(c, "lxc.group", "one"));
	say_bool("save the list", c->save_config(c, other));
	say_bool("load it again", c->load_config(c, other));
	say("the list has grown", "%d", c->get_config_item(c, "lxc.group", NULL, 0));
	c->clear_config(c);
	say_bool("clear_config", c->lxc_conf == NULL);
	say("get after clear_config", "%d", c->get_config_item(c, "lxc.tty.max", NULL, 0));
	say_bool("load after clear_config", c->load_config(c, NULL));
	say_buffer(c, "lxc.tty.max", 8);
	say_bool("destroy", c->destroy(c));
	say_bool("is_defined after destroy", c->is_defined(c));
	lxc_container_put(c);

	c = opened("scratch");
	say_bool("set_config_path", c->set_config_path(c, "/nonexistent/path"));
	say_text("config path", c->get_config_path(c));
	say_text("config file", c->configfile);
	lxc_container_put(c);
}

/* ---- functions without an object -------------------------------------------------------------- */

static void functions(void)
{
	static const char *const keys[] = {
		"lxc.uts.name", "lxc.net", "lxc.net.", "lxc.net.0.type", "lxc.cgroup2",
		"lxc.cgroup2.memory.max", "lxc.cgroup", "lxc.prlimit", "lxc.namespace.share.",
		"lxc.hook.bogus", "lxc.hook.start", "lxc.notaconfigkey", "", "lxc", "lxc.idmap",
	};
	static const char *const extensions[] = {
		"lxc_log", "lxc_config_item_is_supported", "reboot2", "pidfd", "cgroup2", "LXC_LOG",
		"", "nonsense",
	};
	static const char *const global_keys[] = {
		"lxc.bdev.lvm.vg", "lxc.bdev.zfs.root", "lxc.bdev.rbd.rbdpool", "lxc.nonsense", "",
	};
	const char *states[8] = { 0 };
	char name[128];

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		snprintf(name, sizeof(name), "is_supported %s", keys[i]);
		say_bool(name, lxc_config_item_is_supported(keys[i]));
	}
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
		snprintf(name, sizeof(name), "has_api_extension %s", extensions[i]);
		say_bool(name, lxc_has_api_extension(extensions[i]));
	}
	say_bool("has_api_extension init_pidfd", lxc_has_api_extension("init_pidfd"));
	for (size_t i = 0; i < sizeof(global_keys) / sizeof(*global_keys); i++) {
		snprintf(name, sizeof(name), "global %s", global_keys[i]);
		errno = 0;
		say_text(name, lxc_get_global_config_item(global_keys[i]));
		if (lxc_get_global_config_item(global_keys[i]))
			continue; /* errno is set for a failure only */
		snprintf(name, sizeof(name), "errno of global %s", global_keys[i]);
		say(name, "%d", errno);
	}
	say_text("global lxcpath", lxc_get_global_config_item("lxc.lxcpath"));
	errno = 0;
	say_text("global pattern", lxc_get_global_config_item("lxc.cgroup.use"));
	say("errno of an unset global", "%d", errno);
	say("lxc_get_wait_states", "%d", lxc_get_wait_states(states));
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "wait state %d", i);
		say_text(name, states[i]);
	}
	say_bool("version is at least 5", atoi(lxc_get_version()) >= 5);
	say("run_command without it", "%d", ({
		char *argv[] = { "nonsense", NULL };
		lxc_attach_command_t command = { "/nonexistent/nonsense", argv };
		lxc_attach_run_command(&command);
	}));
	say("run_command of a file", "%d", ({
		char *argv[] = { "passwd", NULL };
		lxc_attach_command_t command = { "/etc/passwd", argv };
		lxc_attach_run_command(&command);
	}));
}

static void say_list(const char *name, int count, char **names, struct lxc_container **containers)
{
	printf("%s=%d", name, count);
	for (int i = 0; i < count; i++) {
		if (names) {
			printf(" %s", names[i]);
			free(names[i]);
		}
		if (containers) {
			printf(" [%s %d]", containers[i]->name, containers[i]->numthreads);
			lxc_container_put(containers[i]);
		}
	}
	putchar('\n');
	fflush(stdout);
	free(names);
	free(containers);
}

static void lists(void)
{
	struct lxc_container **containers = (void *)&number;
	char **names = (void *)&number;
	int count;

	count = list_defined_containers(lxcpath, &names, NULL);
	say_list("defined", count, names, NULL);
	count = list_defined_containers(lxcpath, &names, &containers);
	say_list("defined with objects", count, names, containers);
	count = list_defined_containers(lxcpath, NULL, &containers);
	say_list("defined objects", count, NULL, containers);
	say("defined count", "%d", list_defined_containers(lxcpath, NULL, NULL));
	names = NULL;
	count = list_active_containers(lxcpath, &names, NULL);
	say_list("active", count, names, NULL);
	count = list_all_containers(lxcpath, &names, NULL);
	say_list("all", count, names, NULL);
	names = (void *)&number;
	say("defined nowhere", "%d", list_defined_containers("/nonexistent", &names, NULL));
	say_bool("names of nowhere", names == NULL || names == (void *)&number);
	names = NULL;
	say("active nowhere", "%d", list_active_containers("/nonexistent", &names, NULL));
	free(names);
}

/* ---- logging ---------------------------------------------------------------------------------- */

static long size_of(const char *path)
{
	struct stat found;

	return stat(path, &found) ? -1 : (long)found.st_size;
}

/* Log files go where no list of containers looks. */
static void logging(const char *directory)
{
	char first[4096], second[4096], nowhere[4096];
	struct lxc_log log = { .name = "member", .lxcpath = lxcpath, .file = first, .level = "TRACE",
			       .prefix = "proof", .quiet = true };
	struct lxc_container *c;
	struct stat found;
	long before;

	snprintf(first, sizeof(first), "%s/first.log", directory);
	snprintf(second, sizeof(second), "%s/second.log", directory);
	snprintf(nowhere, sizeof(nowhere), "%s/no\ndirectory/none", directory);
	unlink(first);
	unlink(second);
	umask(0022);
	say("log_init", "%d", lxc_log_init(&log));
	say("log file mode", "%o", stat(first, &found) ? 0 : found.st_mode & 0777);
	c = opened("logged");
	say_bool("logged: refused", c->set_config_item(c, "lxc.nonsense", "x"));
	say_bool("something was logged", size_of(first) > 0);
	log.file = second;
	say("second log_init", "%d", lxc_log_init(&log));
	say("no second file", "%ld", size_of(second));
	before = size_of(first);
	say_bool("logged: refused again", c->set_config_item(c, "lxc.nonsense", "x"));
	say_bool("the first file grew", size_of(first) > before);
	lxc_log_close();
	say("log_init after close", "%d", lxc_log_init(&log));
	say_bool("logged: refused once more", c->set_config_item(c, "lxc.nonsense", "x"));
	say_bool("the second file grew", size_of(second) > 0);
	lxc_log_close();
	log.file = "none";
	say("log_init none", "%d", lxc_log_init(&log));
	lxc_log_close();
	log.file = "/proc/nonexistent/log";
	say("log_init nowhere", "%d", lxc_log_init(&log));
	lxc_log_close();
	lxc_container_put(c);
}

/* ---- migrate: what its size says -------------------------------------------------------------- */

static void migrate(void)
{
	struct {
		struct migrate_opts options;
		char behind[16];
	} longer;

	memset(&longer, 0, sizeof(longer));
	say("migrate unknown command", "%d",
	    stopped->migrate(stopped, 77, &longer.options, sizeof(longer.options)));
	say("migrate of zeroes behind", "%d",
	    stopped->migrate(stopped, MIGRATE_FEATURE_CHECK, &longer.options, sizeof(longer)));
	longer.behind[3] = 1;
	say("migrate of something behind", "%d",
	    stopped->migrate(stopped, MIGRATE_FEATURE_CHECK, &longer.options, sizeof(longer)));
	say("dump of a stopped one", "%d",
	    stopped->migrate(stopped, MIGRATE_DUMP, &longer.options, sizeof(longer.options)));
	say("pre-dump of a stopped one", "%d",
	    stopped->migrate(stopped, MIGRATE_PRE_DUMP, &longer.options, sizeof(longer.options)));
}

/* ---- what only the later structure has -------------------------------------------------------- */

static void later(void)
{
#ifdef OUR_HEADERS
	if (!has_set_timeout())
		return;
	say_bool("set_timeout 5", stopped->set_timeout(stopped, 5));
	say_bool("set_timeout -1", stopped->set_timeout(stopped, -1));
	say_bool("set_timeout 0", stopped->set_timeout(stopped, 0));
	say_bool("set_timeout -2", stopped->set_timeout(stopped, -2));
	say_bool("set_timeout NULL", stopped->set_timeout(NULL, 5));
	say("rcv_timeout", "%d", stopped->rcv_timeout);
#endif
}

int main(int argc, char **argv)
{
	need(argc == 3, "members LXCPATH LOGDIRECTORY");
	lxcpath = argv[1];
	stopped = opened("stopped");
	object();
	for (size_t i = 0; i < sizeof(ON_NULL) / sizeof(*ON_NULL); i++)
		guarded(ON_NULL[i].name, ON_NULL[i].check);
	for (size_t i = 0; i < sizeof(ON_NO_ARGUMENT) / sizeof(*ON_NO_ARGUMENT); i++)
		guarded(ON_NO_ARGUMENT[i].name, ON_NO_ARGUMENT[i].check);
	on_a_stopped_one();
	waits();
	on_one_without_configuration();
	configuration();
	functions();
	lists();
	logging(argv[2]);
	migrate();
	later();
	say("last put", "%d", lxc_container_put(stopped));
	return 0;
}
