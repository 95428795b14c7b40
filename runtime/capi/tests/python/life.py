"""A container's life through python3-lxc, with whichever liblxc.so.1 is loaded.

life.py LXCPATH NAME: prints one line a check, `name = value`, so that two libraries can be compared.
"""

import os
import sys
import time

import lxc

PATH, NAME = sys.argv[1:3]


def say(name, value):
    print(f"{name} = {value!r}", flush=True)


def attempt(name, call, *arguments, **keywords):
    """Says what the call gives, or which exception it ends in."""
    try:
        value = call(*arguments, **keywords)
    except Exception as error:
        say(name, type(error).__name__)
        return None
    say(name, value)
    return value


def opened():
    return lxc.Container(NAME, PATH)


def eventually(condition):
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def configuration(container):
    say("defined", container.defined)
    say("config file", os.path.relpath(container.config_file_name, PATH))
    say("config path", container.get_config_path() == PATH)
    say("keys are many", len(container.get_keys()) > 80)
    say("set", container.set_config_item("lxc.uts.name", "first"))
    say("get", container.get_config_item("lxc.uts.name"))
    say("set a list", container.set_config_item("lxc.cap.drop", ["sys_time", "sys_module"]))
    say("append", container.append_config_item("lxc.cap.drop", "sys_boot"))
    say("get a list", container.get_config_item("lxc.cap.drop"))
    say("clear", container.clear_config_item("lxc.cap.drop"))
    attempt("get cleared", container.get_config_item, "lxc.cap.drop")
    attempt("get unknown", container.get_config_item, "lxc.nonsense")
    attempt("set unknown", container.set_config_item, "lxc.nonsense", "x")
    attempt("set a bad value", container.append_config_item, "lxc.tty.max", "many")
    attempt("keys of hooks", container.get_keys, "lxc.hook")
    attempt("keys of nothing", container.get_keys, "lxc.nonsense")
    attempt("supported", container.get_config_item, "lxc.net")


def network(container):
    say("devices", len(container.network))
    say("add", container.network.add("veth"))
    say("add another", container.network.add("empty"))
    device = container.network[0]
    device.link = "none0"
    device.hwaddr = "00:16:3e:12:34:56"
    say("address", container.append_config_item("lxc.net.0.ipv4.address", "10.2.3.4/24 10.2.3.255"))
    say("address", container.append_config_item("lxc.net.0.ipv4.address", "10.2.3.5/8 10.2.3.255"))
    say("type", device.type)
    say("link", device.link)
    say("hwaddr", device.hwaddr)
    say("addresses", container.get_config_item("lxc.net.0.ipv4.address"))
    say("keys of a device", container.get_keys("lxc.net.0"))
    say("devices", len(container.network))
    say("types", container.get_config_item("lxc.net"))
    say("remove", container.network.remove(1))
    say("devices", len(container.network))
    say("clear the network", container.clear_config_item("lxc.net"))
    say("devices", len(container.network))


def saved(container):
    say("save", container.save_config())
    say("defined", container.defined)
    elsewhere = os.path.join(PATH, "elsewhere.conf")
    say("save elsewhere", container.save_config(elsewhere))
    say("set behind it", container.set_config_item("lxc.uts.name", "second"))
    container.clear_config()
    say("load", container.load_config(elsewhere))
    say("as saved", container.get_config_item("lxc.uts.name"))
    os.unlink(elsewhere)
    attempt("load what is gone", container.load_config, elsewhere)


def created():
    container = opened()
    container.set_config_item("lxc.net.0.type", "empty")
    container.set_config_item("lxc.net.0.flags", "up")
    say("create", container.create("busybox", lxc.LXC_CREATE_QUIET))
    say("defined", container.defined)
    say("rootfs", container.get_config_item("lxc.rootfs.path") in (
        f"{PATH}/{NAME}/rootfs", f"dir:{PATH}/{NAME}/rootfs"))
    container.set_config_item("lxc.tty.max", "2")
    container.set_config_item("lxc.uts.name", "inside")
    say("save", container.save_config())
    return container


def in_container(_nothing=None):
    """Runs inside, in a fork of this interpreter."""
    with open("/seen", "w") as file:
        file.write(f"{os.uname().nodename} {os.getuid()}")
    return 17


def attach(container):
    run = container.attach_wait
    say("command", run(lxc.attach_run_command, ["sh", "-c", "exit 7"]))
    say("command that succeeds", run(lxc.attach_run_command, "true"))
    say("missing command", run(lxc.attach_run_command, ["/nonexistent"]))
    say("callable", run(in_container))
    with open(os.path.join(PATH, NAME, "rootfs/seen")) as file:
        say("it was inside", file.read())
    say("callable with argument", run(lambda number: number + 1, 4))
    say("callable as a user", run(lambda nothing: os.getuid(), None, uid=77, gid=78))
    say("variables", run(
        lxc.attach_run_command,
        ["sh", "-c", '[ "$A" = b ] && [ -z "$HOME" ]'],
        env_policy=lxc.LXC_ATTACH_CLEAR_ENV, extra_env_vars=["A=b"]))
    read, write = os.pipe()
    say("output", run(lxc.attach_run_command, ["echo", "hello"], stdout=write))
    os.close(write)
    with os.fdopen(read) as file:
        say("it said", file.read())
    pid = container.attach(lxc.attach_run_command, ["sh", "-c", "exit 3"])
    say("attach", pid > 0)
    say("its status", os.waitpid(pid, 0)[1])
    say("in one namespace", run(
        lxc.attach_run_command, ["sh", "-c", '[ "$(hostname)" = inside ]'],
        namespaces=lxc.CLONE_NEWUTS))


def console(container):
    """A terminal of the container is shown on one of ours until the escape is typed.

    Not the first one: console_getfd() of this binding never gives that back.
    """
    master, slave = os.openpty()
    viewer = os.fork()
    if viewer == 0:
        # It makes its caller the leader of a session: not this process.
        left = container.console(
            ttynum=2, stdinfd=slave, stdoutfd=slave, stderrfd=slave, escape=1)
        os._exit(0 if left else 1)
    os.set_blocking(master, False)
    shown = b""

    def seen():
        nonlocal shown
        container.attach_wait(lxc.attach_run_command, ["sh", "-c", "echo hello >/dev/tty2"])
        try:
            shown += os.read(master, 4096)
        except BlockingIOError:
            pass
        return b"hello" in shown

    say("shown", eventually(seen))
    os.write(master, b"\x01q")
    say("left", eventually(lambda: os.waitpid(viewer, os.WNOHANG) == (viewer, 0)))
    os.close(slave)
    os.close(master)


def running(container):
    say("start", container.start(cmd=("/bin/sleep", "1000")))
    say("state", container.state)
    say("running", container.running)
    say("wait", container.wait("RUNNING", 5))
    say("init", container.init_pid > 0)
    say("start again", container.start(cmd=("/bin/sleep", "1000")))
    say("interfaces", container.get_interfaces())
    say("ips", container.get_ips())
    say("ips of lo", container.get_ips(interface="lo", family="inet"))
    say("running item", container.get_running_config_item("lxc.uts.name"))
    say("set cgroup item", container.set_cgroup_item("pids.max", "99"))
    say("cgroup item", container.get_cgroup_item("pids.max"))
    attempt("no cgroup item", container.get_cgroup_item, "pids.nonsense")
    terminal = container.console_getfd(1)
    say("terminal", os.isatty(terminal))
    os.close(terminal)
    console(container)
    attach(container)
    say("freeze", container.freeze())
    say("state", container.state)
    say("unfreeze", container.unfreeze())
    say("state", container.state)
    say("listed", lxc.list_containers(config_path=PATH))
    say("listed as active", lxc.list_containers(defined=False, config_path=PATH))
    say("listed as objects", [c.name for c in lxc.list_containers(
        as_object=True, config_path=PATH)])
    say("destroy", container.destroy())
    say("stop", container.stop())
    say("state", container.state)
    # Debian's monitor still has its socket when its stop returns.
    say("no more listed as active", eventually(
        lambda: lxc.list_containers(defined=False, config_path=PATH) == ()))


def with_an_init(container):
    ready = lambda: container.attach_wait(
        lxc.attach_run_command, ["sh", "-c", "pidof syslogd >/dev/null"]) == 0
    say("start", container.start())
    say("ready", eventually(ready))
    before = container.init_pid
    say("reboot", container.reboot())
    say("another init", eventually(lambda: container.init_pid not in (-1, before)))
    say("ready", eventually(ready))
    say("shutdown", container.shutdown(15))
    say("state", container.state)


def main():
    say("version", int(lxc.version.split(".")[0]) >= 5)
    say("lxcpath", bool(lxc.default_config_path))
    attempt("global item", lxc.get_global_config_item, "lxc.bdev.lvm.vg")
    attempt("unknown global item", lxc.get_global_config_item, "lxc.nonsense")
    container = opened()
    configuration(container)
    network(container)
    saved(container)
    say("destroy", container.destroy())
    say("defined", container.defined)
    container = created()
    say("state", container.state)
    say("stop", container.stop())
    say("snapshots", container.snapshot_list())
    running(container)
    with_an_init(opened())
    say("destroy", opened().destroy())
    say("defined", opened().defined)
    say("listed", lxc.list_containers(config_path=PATH))


main()
