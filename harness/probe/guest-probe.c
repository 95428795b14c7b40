/*
 * What a hostile guest, or somebody who wants to see a runtime die, asks of the kernel: one attempt a
 * verb, its outcome printed. Linked statically, so that it runs in any rootfs.
 *
 * It says what the kernel answered and judges nothing; what should have been answered stands in the
 * tests and scenarios that use it. Exit status: 0 the attempt was made, 2 misused, 3 it could not be
 * made.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *outcome(long result)
{
	return result < 0 ? strerrorname_np(errno) : "done";
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Numbers among the names in /proc; 0 at the end, after which it begins anew. */
static pid_t next_process(DIR *proc)
{
	struct dirent *entry;

	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 1 && pid != getpid())
			return pid;
	}
	rewinddir(proc);
	return 0;
}

/* tty: is the caller's terminal in reach, and can it be typed upon? */
static int tty(char **words)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	(void)words;
	printf("/dev/tty: %s\n", outcome(fd));
	for (int stream = 0; stream < 3; stream++)
		printf("type on %d: %s\n", stream, outcome(ioctl(stream, TIOCSTI, "x")));
	if (fd >= 0)
		printf("type on /dev/tty: %s\n", outcome(ioctl(fd, TIOCSTI, "x")));
	return 0;
}

/* with-key NAME PROGRAM…: a program with a session keyring that holds a key. */
static int with_key(char **words)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
	    syscall(SYS_add_key, "user", words[0], "x", 1, KEY_SPEC_SESSION_KEYRING) < 0) {
		perror("keyctl");
		return 3;
	}
	execvp(words[1], words + 1);
	perror(words[1]);
	return 3;
}

/* key NAME: is it in the session keyring? */
static int key(char **words)
{
	printf("%s\n", outcome(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
				       words[0], 0)));
	return 0;
}

/* handle PATH: can a file be opened by a handle, without any path to it? */
static int handle(char **words)
{
	struct {
		unsigned int bytes;
		int type;
		unsigned char bytes_of[128];
	} guess = { .bytes = 8, .type = 1, .bytes_of = { 2 } };
	int place = open(words[0], O_RDONLY | O_CLOEXEC);

	if (place < 0) {
		perror(words[0]);
		return 3;
	}
	printf("%s\n", outcome(syscall(SYS_open_by_handle_at, place, &guess, O_RDONLY)));
	return 0;
}

/* Whether a process still is what it was born as: not one of the guest's programs. */
static int before_exec(pid_t pid)
{
	char path[64], target[4096];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return errno != ENOENT && errno != ESRCH;
	target[length] = 0;
	return access(target, F_OK) != 0;
}

/* How many of its descriptors are directories, seen from here. */
static int directories_of(pid_t pid)
{
	char path[64];
	int found = 0;

	for (int number = 0; number < 64; number++) {
		struct stat seen;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
		if (stat(path, &seen) == 0 && S_ISDIR(seen.st_mode))
			found++;
	}
	return found;
}

/* The longest that anything goes on, whatever becomes of who should end it. */
static const double LONGEST = 120;

/* Whether what goes on until a file appears is over. */
static int over(const char *file, double begun)
{
	return access(file, F_OK) == 0 || now() - begun > LONGEST;
}

/* seize FILE: until there is FILE, trace whatever appears before it has become the guest's own program. */
static int seize(char **words)
{
	double begun = now();
	long tried = 0, seized = 0, early = 0, directories = 0;
	DIR *proc = opendir("/proc");

	puts("begun");
	while (proc && !over(words[0], begun)) {
		pid_t pid = next_process(proc);
		int status;

		if (!pid)
			continue;
		tried++;
		if (before_exec(pid))
			directories += directories_of(pid);
		if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
			continue;
		seized++;
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
		if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
			if (before_exec(pid)) {
				early++;
				directories += directories_of(pid);
			}
			ptrace(PTRACE_DETACH, pid, 0, 0);
		}
	}
	printf("%s\nbefore exec: %ld\ndirectories: %ld\n", tried ? "tried" : "nobody came", early,
	       directories);
	fprintf(stderr, "%ld tries, %ld seized\n", tried, seized);
	return 0;
}

static int same_file(int fd, const char *path)
{
	struct stat one, other;

	return fstat(fd, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* Whether a byte of a file could be written; it is the byte that is there. */
static int takes_a_byte(int fd)
{
	char byte;

	return pread(fd, &byte, 1, 0) == 1 && pwrite(fd, &byte, 1, 0) == 1;
}

/* overwrite FILE: until there is FILE, write to the program of whatever appears, unless it is the guest's own. */
static int overwrite(char **words)
{
	double begun = now();
	int programs = 0, written = 0;
	DIR *proc = opendir("/proc");
	char path[64], target[4096];

	puts("begun");
	while (proc && !over(words[0], begun)) {
		pid_t pid = next_process(proc);
		int fd, writable = -1;

		if (!pid)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		fd = open(path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(target, 0, sizeof(target));
		if (readlink(path, target, sizeof(target) - 1) > 0 && !same_file(fd, target)) {
			programs++;
			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			/* It is busy as long as it runs. */
			for (int tries = 0; writable < 0 && tries < 2000; tries++) {
				writable = open(path, O_RDWR | O_CLOEXEC);
				if (writable < 0 && errno != ETXTBSY)
					break;
			}
			if (writable >= 0) {
				if (takes_a_byte(writable)) {
					written++;
					printf("%s could be written\n", target);
				}
				close(writable);
			}
		}
		close(fd);
	}
	printf("%s\nwritten: %d\n", programs ? "seen" : "nobody came", written);
	return 0;
}

/* say: its own words and what it has open; what an interpreter of the guest's learns. */
static int say(char **words)
{
	for (int number = 3; number < 1024; number++)
		if (fcntl(number, F_GETFD) >= 0)
			printf("open: %d\n", number);
	for (; *words; words++)
		printf("word: %s\n", *words);
	return 0;
}

/* A program that is traced from before its exec on, with all that comes of it; -1 without one. */
static pid_t traced(char **program)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	pid_t first = fork();

	if (first == 0) {
		raise(SIGSTOP);
		execvp(program[0], program);
		_exit(127);
	}
	waitpid(first, NULL, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, first, 0, options) < 0) {
		perror("ptrace");
		kill(first, SIGKILL);
		return -1;
	}
	kill(first, SIGCONT);
	return first;
}

/* Whether a stop is at the beginning or the end of a system call. */
static int at_a_call(int status)
{
	return status >> 16 == 0 && WSTOPSIG(status) == (SIGTRAP | 0x80);
}

/* Lets one that is traced go on; a signal that stopped it is passed on, a stop of its group stays. */
static void to_its_next_call(pid_t pid, int status)
{
	int event = status >> 16, signal = WSTOPSIG(status);

	if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP ||
					   signal == SIGTTIN || signal == SIGTTOU)) {
		ptrace(PTRACE_LISTEN, pid, 0, 0);
		return;
	}
	ptrace(PTRACE_SYSCALL, pid, 0, event || at_a_call(status) ? 0 : signal);
}

/*
 * signals PROGRAM…: runs it, and says to how many other processes it, and all that comes of it, sent a
 * signal by their number, and how often one was sent by a descriptor.
 */
static int signals(char **words)
{
	struct __ptrace_syscall_info call;
	long by_number = 0, by_descriptor = 0;

	if (traced(words) < 0)
		return 3;
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			break;
		if (WIFEXITED(status) || WIFSIGNALED(status))
			continue;
		if (at_a_call(status) &&
		    ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call) > 0 &&
		    call.op == PTRACE_SYSCALL_INFO_ENTRY) {
			/* Signal 0 asks whether somebody is there. */
			if (call.entry.nr == SYS_kill && call.entry.args[1] != 0) {
				by_number++;
				fprintf(stderr, "%d: kill(%lld, %lld)\n", pid,
					(long long)call.entry.args[0], (long long)call.entry.args[1]);
			}
			by_descriptor += call.entry.nr == SYS_pidfd_send_signal && call.entry.args[1] != 0;
		}
		to_its_next_call(pid, status);
	}
	printf("by number: %ld\nby descriptor: %ld\n", by_number, by_descriptor);
	return 0;
}

/* filtered PROGRAM…: a program under a seccomp filter that lets everything pass. */
static int filtered(char **words)
{
	struct sock_filter everything = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog filter = { 1, &everything };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
		perror("seccomp");
		return 3;
	}
	execvp(words[0], words);
	perror(words[0]);
	return 3;
}

/* core PID: whom the process shares a core with: its cookie, 0 with anybody. */
static int core(char **words)
{
	enum { SCHED_CORE = 62, GET = 0, ONE_THREAD = 0 };
	unsigned long long cookie;

	if (prctl(SCHED_CORE, GET, atol(words[0]), ONE_THREAD, &cookie) < 0)
		puts(strerrorname_np(errno));
	else
		printf("%llx\n", cookie);
	return 0;
}

/*
 * on-terminal PROGRAM…: runs it on a terminal of its own, passes on what it writes there, and says whose
 * the terminal was before, and is after. Ends as the program does.
 */
static int on_terminal(char **words)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1, status;
	struct stat before, after;
	char text[4096];
	ssize_t length;
	pid_t child;

	if (master >= 0 && unlockpt(master) == 0)
		slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || fstat(slave, &before) < 0) {
		perror("pty");
		return 3;
	}
	child = fork();
	if (child == 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		for (int stream = 0; stream < 3; stream++)
			dup2(slave, stream);
		execvp(words[0], words);
		_exit(127);
	}
	close(slave);
	/* EIO when the last one there has closed it. */
	while ((length = read(master, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)length, stdout);
	waitpid(child, &status, 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || fstat(slave, &after) < 0) {
		perror("pty");
		return 3;
	}
	printf("before %d:%d %o\nafter %d:%d %o\n", before.st_uid, before.st_gid,
	       before.st_mode & 0777, after.st_uid, after.st_gid, after.st_mode & 0777);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * kill-at WHOM CALL PROGRAM…: runs it, and kills one of the processes that come of it with SIGKILL as it
 * enters its CALL-th system call since its birth or last exec. WHOM counts the births, 0 is PROGRAM.
 */
static int kill_at(char **words)
{
	enum { MOST = 64 };
	long whom = atol(words[0]), wanted = atol(words[1]);
	pid_t born[MOST] = { 0 }, first = traced(words + 2);
	long calls[MOST] = { 0 };
	int entering[MOST] = { 0 }, births = 0, ended = -1;
	int killed = 0;

	if (first < 0)
		return 3;
	born[births++] = first;
	for (;;) {
		int status, which = 0;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			break;
		while (which < births && born[which] != pid)
			which++;
		if (which == births && births < MOST)
			born[births++] = pid;
		if (which >= MOST)
			continue;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == first) {
				ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
				break;
			}
			continue;
		}
		if (at_a_call(status)) {
			entering[which] = !entering[which];
			if (which == whom && entering[which] && !killed && ++calls[which] == wanted) {
				kill(pid, SIGKILL);
				killed = 1;
				continue;
			}
		} else if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8))) {
			calls[which] = 0;
		}
		to_its_next_call(pid, status);
	}
	/* Those that still run are let go by our own end. */
	fprintf(stderr, "%s after %ld calls of %d births\n", killed ? "killed" : "not killed",
		whom < MOST ? calls[whom] : 0, births);
	return ended < 0 ? 3 : ended == 0 ? 0 : 1;
}

static const struct {
	const char *word;
	int words;
	int (*act)(char **words);
} verbs[] = {
	{ "tty", 0, tty },
	{ "with-key", 2, with_key },
	{ "key", 1, key },
	{ "handle", 1, handle },
	{ "seize", 1, seize },
	{ "overwrite", 1, overwrite },
	{ "say", 0, say },
	{ "kill-at", 3, kill_at },
	{ "signals", 1, signals },
	{ "filtered", 1, filtered },
	{ "core", 1, core },
	{ "on-terminal", 1, on_terminal },
};

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; count > 1 && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(words[1], verbs[i].word) && count - 2 >= verbs[i].words)
			return verbs[i].act(words + 2);
	fprintf(stderr, "guest-probe: misused\n");
	return 2;
}
