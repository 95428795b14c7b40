/* SPDX-License-Identifier: Apache-2.0 */

/* Containers for C and C++: the interface of LXC 6.0.
 *
 * Memory: what a function returns as `char *`, and every array, is the caller's to free(); what it
 * returns as `const char *` is the library's. Arguments are copied and not kept.
 *
 * Failure: a member returns false, NULL or a negative number, sets errno and leaves a sentence in
 * error_string. NULL for `c` fails like anything else. Unless it says otherwise, a member that needs
 * a running container fails when it does not run.
 *
 * Threads: everything may be called from any thread, also on one and the same container. Fields may
 * be read and written by one thread at a time. A program that forks and does not execute must take
 * a reference (lxc_container_get) before the fork and put it in the child. */

#ifndef LXC_CONTAINER_H
#define LXC_CONTAINER_H

#include <malloc.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <lxc/attach_options.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of clone(). */
#define LXC_CLONE_KEEPNAME (1 << 0)       /* Keep lxc.uts.name and /etc/hostname. */
#define LXC_CLONE_KEEPMACADDR (1 << 1)    /* Keep hardware addresses. */
#define LXC_CLONE_SNAPSHOT (1 << 2)       /* Snapshot the storage instead of copying it. */
#define LXC_CLONE_KEEPBDEVTYPE (1 << 3)   /* Use the same type of storage. */
#define LXC_CLONE_MAYBE_SNAPSHOT (1 << 4) /* Snapshot if that is possible, else copy. */
#define LXC_CLONE_MAXFLAGS (1 << 5)
#define LXC_CLONE_ALLOW_RUNNING (1 << 6) /* The container may be running. */

/* Flags of create(). */
#define LXC_CREATE_QUIET (1 << 0) /* The template's output goes nowhere. */
#define LXC_CREATE_MAXFLAGS (1 << 1)

/* For lxc_mount.version. */
#define LXC_MOUNT_API_V1 1

struct bdev_specs;
struct lxc_snapshot;
struct lxc_lock;
struct lxc_conf;
struct migrate_opts;
struct lxc_console_log;

/* The version of mount() and umount() that the caller knows. */
struct lxc_mount {
	int version;
};

/* A container by name, whether it exists or not; see lxc_container_new. */
struct lxc_container {
	/* Name of the container. */
	char *name;

	/* File that its configuration is loaded from and saved to. A caller may free() it and put
	 * another malloc'd path here; it counts from the next call on. */
	char *configfile;

	/* A caller may put a malloc'd path here before start(): the monitor writes its pid there. */
	char *pidfile;

	/* The library's own. */
	struct lxc_lock *slock;
	struct lxc_lock *privlock;

	/* References to this object. */
	int numthreads;

	/* NULL as long as no configuration was loaded or set; only to be compared with NULL. */
	struct lxc_conf *lxc_conf;

	/* Why the last member that failed did; NULL as long as none has. The library's: valid until 256
	 * other things have gone wrong with this object, or its last reference is put. */
	char *error_string;

	/* Of start(): 1 when it failed; of a container run in the foreground its wait status. */
	int error_num;

	/* Whether start() returns as soon as the container runs, instead of staying with it. True
	 * for a new object. */
	bool daemonize;

	/* Directory of all containers (lxcpath). */
	char *config_path;

	/* Whether its configuration file exists. */
	bool (*is_defined)(struct lxc_container *c);

	/* One of the names that lxc_get_wait_states gives; "INVALID STATE" when the monitor cannot
	 * be asked. */
	const char *(*state)(struct lxc_container *c);

	/* Whether it is in any state but STOPPED. */
	bool (*is_running)(struct lxc_container *c);

	/* Stops all processes inside; true also when they are stopped already. */
	bool (*freeze)(struct lxc_container *c);

	/* Lets them go on; true also when they were not stopped. */
	bool (*unfreeze)(struct lxc_container *c);

	/* Pid of its init as the caller sees it; -1 when it does not run. */
	pid_t (*init_pid)(struct lxc_container *c);

	/* Adds what alt_file (NULL = configfile) says to the configuration in memory. A file with a
	 * fault changes nothing. */
	bool (*load_config)(struct lxc_container *c, const char *alt_file);

	/* Starts it with the program argv, ended by NULL; argv NULL = lxc.init.cmd. With useinit the
	 * program runs under a small init; argv NULL = lxc.execute.cmd. Returns when the container runs
	 * (daemonize), or when it has ended. */
	bool (*start)(struct lxc_container *c, int useinit, char *const argv[]);

	/* start() with the arguments as a list of char *, ended by NULL. */
	bool (*startl)(struct lxc_container *c, int useinit, ...);

	/* Kills it and waits until nothing is left of it; true when it does not run. */
	bool (*stop)(struct lxc_container *c);

	/* Sets daemonize. */
	bool (*want_daemonize)(struct lxc_container *c, bool state);

	/* Whether start() closes what descriptors it inherited, those of LISTEN_FDS apart. */
	bool (*want_close_all_fds)(struct lxc_container *c, bool state);

	/* configfile, for the caller to free. */
	char *(*config_file_name)(struct lxc_container *c);

	/* Waits until it is in one of the states in `state` ("STOPPED|FROZEN"). timeout: seconds,
	 * 0 = only looks, -1 = no limit. */
	bool (*wait)(struct lxc_container *c, const char *state, int timeout);

	/* Sets a key in memory; NULL or "" clears it. */
	bool (*set_config_item)(struct lxc_container *c, const char *key, const char *value);

	/* Removes it with its rootfs. It must not run, and have no snapshots. */
	bool (*destroy)(struct lxc_container *c);

	/* Writes the configuration to alt_file (NULL = configfile). */
	bool (*save_config)(struct lxc_container *c, const char *alt_file);

	/* Creates it from the template t (a name, or a program's path; NULL = none), with storage of
	 * type bdevtype (NULL = a directory), LXC_CREATE_* flags, and arguments for the template. */
	bool (*create)(struct lxc_container *c, const char *t, const char *bdevtype,
		       struct bdev_specs *specs, int flags, char *const argv[]);

	/* create() with the arguments as a list of char *, ended by NULL. */
	bool (*createl)(struct lxc_container *c, const char *t, const char *bdevtype,
			struct bdev_specs *specs, int flags, ...);

	/* Gives the container another name. c goes on meaning the old one. */
	bool (*rename)(struct lxc_container *c, const char *newname);

	/* Asks init to reboot and does not wait for it. */
	bool (*reboot)(struct lxc_container *c);

	/* Asks init to shut down and waits. timeout: seconds, 0 = does not wait, -1 = no limit. True
	 * when it does not run. */
	bool (*shutdown)(struct lxc_container *c, int timeout);

	/* Forgets the configuration in memory; lxc_conf is NULL afterwards. */
	void (*clear_config)(struct lxc_container *c);

	/* Gives a key its default, or empties its list. */
	bool (*clear_config_item)(struct lxc_container *c, const char *key);

	/* Length of a key's value, which is copied to retv if inlen bytes suffice for it and the NUL.
	 * retv NULL or inlen 0: only the length. */
	int (*get_config_item)(struct lxc_container *c, const char *key, char *retv, int inlen);

	/* A key's value as the running container has it, for the caller to free; NULL when there is
	 * none. */
	char *(*get_running_config_item)(struct lxc_container *c, const char *key);

	/* Length of the list of keys below `key` (NULL = all keys), a line for each, of which as much
	 * is copied to retv as fits. retv NULL or inlen 0: only the length. */
	int (*get_keys)(struct lxc_container *c, const char *key, char *retv, int inlen);

	/* Names of its interfaces, ended by NULL; each, and the array, for the caller to free. */
	char **(*get_interfaces)(struct lxc_container *c);

	/* Its addresses, likewise: of `interface` (NULL = all but lo), of family "inet" or "inet6" (NULL =
	 * both), of IPv6 those of `scope` (0 = global). */
	char **(*get_ips)(struct lxc_container *c, const char *interface, const char *family,
			  int scope);

	/* Bytes of a file of its cgroup, such as "memory.max", copied to retv as far as inlen goes.
	 * retv NULL and inlen 0: only the length. */
	int (*get_cgroup_item)(struct lxc_container *c, const char *subsys, char *retv, int inlen);

	/* Writes such a file. */
	bool (*set_cgroup_item)(struct lxc_container *c, const char *subsys, const char *value);

	/* config_path. Valid until it is set anew. */
	const char *(*get_config_path)(struct lxc_container *c);

	/* Looks for the container in another directory from now on. */
	bool (*set_config_path)(struct lxc_container *c, const char *path);

	/* Copies the container: to newname (NULL = same name) in lxcpath (NULL = same), with
	 * LXC_CLONE_* flags, storage of type bdevtype and newsize bytes (0 = as before), and arguments for its
	 * clone hooks, ended by NULL. Returns a new object. */
	struct lxc_container *(*clone)(struct lxc_container *c, const char *newname,
				       const char *lxcpath, int flags, const char *bdevtype,
				       const char *bdevdata, uint64_t newsize, char **hookargs);

	/* Takes a terminal: *ttynum 0 = the console, -1 = the next free one, which is then put there.
	 * The terminal is *ptxfd; it is the caller's as long as the descriptor returned stays open. */
	int (*console_getfd)(struct lxc_container *c, int *ttynum, int *ptxfd);

	/* Shows a terminal on the caller's descriptors until `q` is typed after Ctrl and the letter
	 * numbered escape (1 = a; -1 = none), or the terminal is hung up. */
	int (*console)(struct lxc_container *c, int ttynum, int stdinfd, int stdoutfd, int stderrfd,
		       int escape);

	/* Runs a function inside, in a child of the caller's, which is to wait for it. options NULL =
	 * LXC_ATTACH_OPTIONS_DEFAULT. Does not wait for its end, unless there is a terminal to relay. */
	int (*attach)(struct lxc_container *c, lxc_attach_exec_t exec_function, void *exec_payload,
		      lxc_attach_options_t *options, pid_t *attached_process);

	/* Runs a program inside and returns its wait status: exit status 127 when there is none, 126
	 * when it cannot be executed; negative when nothing was run. */
	int (*attach_run_wait)(struct lxc_container *c, lxc_attach_options_t *options,
			       const char *program, const char *const argv[]);

	/* attach_run_wait() with the arguments, from argv[0] on, as a list of char *, ended by NULL. */
	int (*attach_run_waitl)(struct lxc_container *c, lxc_attach_options_t *options,
				const char *program, const char *arg, ...);

	/* Takes a snapshot with a copy of commentfile (NULL = none) and returns its number. */
	int (*snapshot)(struct lxc_container *c, const char *commentfile);

	/* Number of snapshots; if there are any, *snapshots is an array for the caller to free, each
	 * element by its own free() first. */
	int (*snapshot_list)(struct lxc_container *c, struct lxc_snapshot **snapshots);

	/* Makes the container newname (NULL = this one again) of a snapshot. */
	bool (*snapshot_restore)(struct lxc_container *c, const char *snapname,
				 const char *newname);

	/* Removes a snapshot. */
	bool (*snapshot_destroy)(struct lxc_container *c, const char *snapname);

	/* Whether the caller may talk to its monitor; true when there is none. */
	bool (*may_control)(struct lxc_container *c);

	/* Gives the container a device of the host, as dest_path (NULL = src_path). */
	bool (*add_device_node)(struct lxc_container *c, const char *src_path,
				const char *dest_path);

	/* Takes it away. */
	bool (*remove_device_node)(struct lxc_container *c, const char *src_path,
				   const char *dest_path);

	/* Moves an interface of the host into the container, where it is called dst_dev (NULL = as
	 * before). */
	bool (*attach_interface)(struct lxc_container *c, const char *dev, const char *dst_dev);

	/* Moves it back. */
	bool (*detach_interface)(struct lxc_container *c, const char *dev, const char *dst_dev);

	/* Saves its processes to a directory, and stops it then if `stop` is set. */
	bool (*checkpoint)(struct lxc_container *c, char *directory, bool stop, bool verbose);

	/* Starts it with processes that were saved. */
	bool (*restore)(struct lxc_container *c, char *directory, bool verbose);

	/* destroy() after snapshot_destroy_all(). */
	bool (*destroy_with_snapshots)(struct lxc_container *c);

	/* Removes all its snapshots. */
	bool (*snapshot_destroy_all)(struct lxc_container *c);

	/* Does one of MIGRATE_*. `size` is that of opts as the caller knows it. 0 = done. */
	int (*migrate)(struct lxc_container *c, unsigned int cmd, struct migrate_opts *opts,
		       unsigned int size);

	/* Reads, clears or both what its console said: see struct lxc_console_log. 0 = done. */
	int (*console_log)(struct lxc_container *c, struct lxc_console_log *log);

	/* Asks init to reboot and waits until it runs again. timeout: seconds, 0 = does not wait,
	 * -1 = no limit. True when it does not run. */
	bool (*reboot2)(struct lxc_container *c, int timeout);

	/* mount(2) inside; source is a path of the host, or NULL. Needs shmounts in lxc.mount.auto.
	 * 0 = done. */
	int (*mount)(struct lxc_container *c, const char *source, const char *target,
		     const char *filesystemtype, unsigned long mountflags, const void *data,
		     struct lxc_mount *mnt);

	/* umount2(2) inside. 0 = done. */
	int (*umount)(struct lxc_container *c, const char *target, unsigned long mountflags,
		      struct lxc_mount *mnt);

	/* The seccomp listener that this object itself holds, else -EBADF. */
	int (*seccomp_notify_fd)(struct lxc_container *c);

	/* The seccomp listener of the running container, a new descriptor. */
	int (*seccomp_notify_fd_active)(struct lxc_container *c);

	/* A pidfd of its init, a new descriptor. */
	int (*init_pidfd)(struct lxc_container *c);

	/* Its devpts mount, a new descriptor. */
	int (*devpts_fd)(struct lxc_container *c);

	/* Seconds that state() and is_running() wait for an answer; see set_timeout(). */
	int rcv_timeout;

	/* Limits how long state() and is_running() wait. timeout: seconds, more than 0; -1 = no limit. */
	bool (*set_timeout)(struct lxc_container *c, int timeout);
};

/* A snapshot of a container. */
struct lxc_snapshot {
	char *name;             /* "snap0", ... */
	char *comment_pathname; /* File of its comment, whether there is one or not. */
	char *timestamp;        /* When it was made; may be NULL. */
	char *lxcpath;          /* Directory in which it lies. */

	/* Frees the four texts above. */
	void (*free)(struct lxc_snapshot *s);
};

/* What storage is made of; each type reads its own part. */
struct bdev_specs {
	char *fstype;    /* File system to make. */
	uint64_t fssize; /* Its size in bytes. */
	struct {
		char *zfsroot; /* Where in the pool. */
	} zfs;
	struct {
		char *vg;       /* Volume group. */
		char *lv;       /* Logical volume. */
		char *thinpool; /* Thin pool. */
	} lvm;
	char *dir; /* Directory. */
	struct {
		char *rbdname; /* Block device. */
		char *rbdpool; /* Its pool. */
	} rbd;
};

/* What migrate() does. */
enum {
	MIGRATE_PRE_DUMP,
	MIGRATE_DUMP,
	MIGRATE_RESTORE,
	MIGRATE_FEATURE_CHECK,
};

/* Bits of migrate_opts.features_to_check. */
#define FEATURE_MEM_TRACK (1ULL << 0)  /* Tracking of changed memory. */
#define FEATURE_LAZY_PAGES (1ULL << 1) /* Memory that follows later. */

/* Arguments of migrate(). */
struct migrate_opts {
	char *directory; /* Where the images are. */
	bool verbose;
	bool stop;                   /* Stop the container after a dump. */
	char *predump_dir;           /* Images of an earlier pre-dump, relative to directory. */
	char *pageserver_address;    /* Where memory is sent. */
	char *pageserver_port;
	bool preserves_inodes;       /* Files keep their inode numbers. */
	char *action_script;         /* Program that criu calls at each stage. */
	bool disable_skip_in_flight; /* Do not pass over connections that are being made. */
	uint64_t ghost_limit;        /* Largest deleted file that is saved, bytes; 0 = criu's limit. */
	uint64_t features_to_check;  /* FEATURE_* bits; of those that are missing, cleared. */
};

/* What console_log() does with what the console said. */
struct lxc_console_log {
	bool clear; /* Throw it all away. */
	bool read;  /* Give it to the caller, and no longer keep it. */

	/* In: most bytes wanted, 0 = all. Out: bytes given. Never NULL. */
	uint64_t *read_max;

	/* What was read, for the caller to free; only if *read_max is not 0. */
	char *data;
};

/* An object for the container `name` in configpath (NULL = lxc.lxcpath), with one reference; its
 * configuration is loaded if it has one. NULL when the name cannot be a container's or the
 * configuration has a fault. */
struct lxc_container *lxc_container_new(const char *name, const char *configpath);

/* Takes a reference. 1 = done, 0 = not. */
int lxc_container_get(struct lxc_container *c);

/* Puts a reference. 1 = it was the last, and the object is gone; 0 = others remain; -1 = not done. */
int lxc_container_put(struct lxc_container *c);

/* Number of states; their names are stored in `states` unless it is NULL. */
int lxc_get_wait_states(const char **states);

/* A setting of lxc.conf, or its default. NULL with errno 0 when it is not set, with errno EINVAL
 * when there is no such setting. */
const char *lxc_get_global_config_item(const char *key);

/* LXC_VERSION of the library that is loaded. */
const char *lxc_get_version(void);

/* Number of containers in lxcpath (NULL = lxc.lxcpath) that have a configuration; -1 = failed. Names
 * and objects, in the same order, are put into arrays of that length unless the pointer is NULL:
 * each name to be freed, each object to be put, each array to be freed. */
int list_defined_containers(const char *lxcpath, char ***names, struct lxc_container ***cret);

/* Likewise those that run. */
int list_active_containers(const char *lxcpath, char ***names, struct lxc_container ***cret);

/* Likewise both. */
int list_all_containers(const char *lxcpath, char ***names, struct lxc_container ***cret);

/* Where the library logs. */
struct lxc_log {
	const char *name;    /* Container that the lines are about. */
	const char *lxcpath; /* Its directory's directory. */
	const char *file;    /* "none" = no file; NULL = the default file. */
	const char *level;   /* TRACE DEBUG INFO NOTICE WARN ERROR CRIT ALERT FATAL; NULL = ERROR. */
	const char *prefix;  /* First word of each line. */
	bool quiet;          /* Nothing on standard error. */
};

/* Begins to log. 0 = done; nothing changes if it has begun already. */
int lxc_log_init(struct lxc_log *log);

/* Ends it. */
void lxc_log_close(void);

/* Whether there is a configuration key of exactly this name. */
bool lxc_config_item_is_supported(const char *key);

/* Whether this library has the API extension; true for NULL. */
bool lxc_has_api_extension(const char *extension);

#ifdef __cplusplus
}
#endif

#endif
