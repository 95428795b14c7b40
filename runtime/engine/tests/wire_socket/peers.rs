//! Debian's C LXC is the other side.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use lxc_engine::wire::{Asked, Client, ConsoleLog, State, running};
use lxc_kernel::{Errno, process};

use crate::fake::Monitor;

/// Runs one of C LXC's tools. Ours may stand first in PATH: those are not peers.
fn tool(name: &str, lxcpath: &str, arguments: &[&str]) -> Output {
    let program = Path::new("/usr/bin").join(name);
    Command::new(&program)
        .args(["-P", lxcpath])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("could not run: {}: {error}", program.display()))
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[test]
fn their_tools_ask_our_server() {
    let monitor = Monitor::start();
    let (lxcpath, name) = (monitor.lxcpath.as_str(), monitor.name.as_str());
    let check = |name: &str, arguments: &[&str], expected: &str| {
        let output = tool(name, lxcpath, &[&["-n", &monitor.name], arguments].concat());
        assert_eq!(text(&output), expected, "{name} {arguments:?}");
        assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    };
    let pid = std::process::id();
    check(
        "lxc-info",
        &["-sp"],
        &format!("State:          RUNNING\nPID:            {pid}\n"),
    );
    check(
        "lxc-info",
        &["-c", "lxc.uts.name"],
        &format!("lxc.uts.name = {name}\n"),
    );
    check("lxc-wait", &["-s", "RUNNING"], "");
    let listed = tool("lxc-ls", lxcpath, &["--running", "-1"]);
    assert_eq!(text(&listed), format!("{name}\n"));
    let cgroup = tool("lxc-cgroup", lxcpath, &["-n", name, "memory.nope"]);
    assert!(!cgroup.status.success());

    std::thread::scope(|scope| {
        let frozen = scope.spawn(|| tool("lxc-wait", lxcpath, &["-n", name, "-s", "FROZEN"]));
        // Whether it has asked by now or not: the state stays.
        monitor.announce_frozen();
        let output = frozen.join().unwrap();
        assert!(output.status.success(), "{output:?}");
    });

    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| tool("lxc-wait", lxcpath, &["-n", name, "-s", "STOPPED"]));
        let output = tool("lxc-stop", lxcpath, &["-n", name, "-k"]);
        assert!(output.status.success(), "{output:?}");
        let output = stopped.join().unwrap();
        assert!(output.status.success(), "{output:?}");
    });
    assert_eq!(monitor.scene().stop_signals, 1);
}

/// A container of C LXC's, ended when it is dropped.
struct Container {
    lxcpath: String,
    name: String,
    _directory: tempfile::TempDir,
}

impl Container {
    fn start() -> Container {
        let directory = tempfile::Builder::new()
            .prefix("lxcrt-wire-")
            .tempdir()
            .unwrap();
        let lxcpath = directory.path().to_str().unwrap().to_owned();
        let name = format!("lxcrt-wire-peer-{}", std::process::id());
        let home: PathBuf = directory.path().join(&name);
        let rootfs = home.join("rootfs");
        for directory in ["bin", "dev", "proc", "sys"] {
            std::fs::create_dir_all(rootfs.join(directory)).unwrap();
        }
        std::fs::copy("/usr/bin/busybox", rootfs.join("bin/busybox"))
            .expect("could not run: needs a static busybox");
        let config = format!(
            "lxc.uts.name = {name}\nlxc.rootfs.path = dir:{}\nlxc.net.0.type = empty\n\
             lxc.tty.max = 2\nlxc.pty.max = 9\nlxc.console.buffer.size = auto\nlxc.init.cmd = /bin/busybox sleep 1000\n",
            rootfs.display()
        );
        std::fs::write(home.join("config"), config).unwrap();
        let output = tool("lxc-start", &lxcpath, &["-n", &name]);
        assert!(
            output.status.success(),
            "could not run: lxc-start: {output:?}"
        );
        Container {
            lxcpath,
            name,
            _directory: directory,
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        tool("lxc-stop", &self.lxcpath, &["-n", &self.name, "-k"]);
    }
}

#[test]
fn our_client_asks_their_monitor() {
    let container = Container::start();
    let name = container.name.as_str();
    let client = Client::new(&container.lxcpath, name);
    assert_eq!(client.state().unwrap(), State::Running);
    assert_eq!(running(&container.lxcpath).unwrap(), [name]);
    assert_eq!(client.name().unwrap(), Asked::Answer(name.to_owned()));
    assert_eq!(
        client.lxcpath().unwrap(),
        Asked::Answer(container.lxcpath.clone())
    );

    let pid = client.init_pid().unwrap().answer().unwrap();
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(command, b"/bin/busybox\0sleep\x001000\0");
    let pidfd = client.init_pidfd().unwrap().answer().flatten().unwrap();
    process::pidfd_signal(pidfd.as_fd(), 0).unwrap();
    let flags = client.clone_flags().unwrap().answer().unwrap();
    assert_eq!(
        flags & libc::CLONE_NEWPID as u64,
        libc::CLONE_NEWPID as u64,
        "{flags:#x}"
    );

    let item = |key: &str| client.config_item(key).unwrap().answer().unwrap();
    assert_eq!(item("lxc.uts.name").as_deref(), Some(name));
    assert_eq!(item("lxc.nope"), None);
    let path = client
        .cgroup(Some("memory"), false)
        .unwrap()
        .answer()
        .flatten();
    assert!(path.is_none_or(|path| path.ends_with(&format!("lxc.payload.{name}"))));
    assert_eq!(
        client.cgroup(Some("nope"), false).unwrap(),
        Asked::Answer(None)
    );
    let context = client.cgroup_context().unwrap().answer().flatten().unwrap();
    assert!((0..=2).contains(&context.layout) && !context.fds.is_empty());
    assert!(
        client
            .cgroup_fd("nope", false)
            .unwrap()
            .answer()
            .flatten()
            .is_none()
    );
    assert!(client.devpts().unwrap().answer().flatten().is_some());
    assert_eq!(client.systemd_scope().unwrap(), Asked::Answer(None));

    let tty = client.tty(1).unwrap().answer().flatten().unwrap();
    assert_eq!(tty.number, 1);
    assert!(client.tty(1).unwrap().answer().flatten().is_none());
    let log = ConsoleLog {
        read: true,
        ..ConsoleLog::default()
    };
    assert_eq!(
        client.console_log(&log).unwrap_err().errno(),
        Some(Errno::NODATA)
    );

    let now = Some(Instant::now());
    assert_eq!(client.wait(&[State::Frozen], now).unwrap(), None);
    assert_eq!(
        client.wait(&[State::Running], now).unwrap(),
        Some(State::Running)
    );
    let soon = Some(Instant::now() + Duration::from_secs(20));
    let waiting = client.clone();
    let frozen = std::thread::spawn(move || waiting.wait(&[State::Frozen], soon).unwrap());
    assert_eq!(
        client.serve_state_clients(State::Frozen).unwrap(),
        Asked::Answer(())
    );
    assert_eq!(frozen.join().unwrap(), Some(State::Frozen));
    client.serve_state_clients(State::Running).unwrap();

    let waiting = client.clone();
    let stopped = std::thread::spawn(move || waiting.wait(&[State::Stopped], soon).unwrap());
    assert_eq!(client.stop().unwrap(), Asked::Answer(()));
    assert_eq!(stopped.join().unwrap(), Some(State::Stopped));
    assert_eq!(client.state().unwrap(), State::Stopped);
}
