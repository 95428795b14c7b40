//! What an attached process finds open: the caller's descriptors, streams, a terminal.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lxc_runtime::{AttachOptions, Attached, Command};

use super::{alone, fields, lab, must, read, running, told};

/// The descriptors of the calling process, and what they are.
fn descriptors() -> String {
    let mut found: Vec<(i32, String)> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let what = fs::read_link(entry.path()).ok()?.display().to_string();
            // The list itself.
            (!what.ends_with("/fd")).then_some((number, what))
        })
        .collect();
    found.sort();
    let line = |(number, what): &(i32, String)| format!("{number} {what}\n");
    found.iter().map(line).collect()
}

#[test]
fn a_function_finds_the_callers_descriptors_and_none_of_ours() {
    const TEST: &str = "a_function_finds_the_callers_descriptors_and_none_of_ours";
    // Other tests' threads open and close whatever they like.
    if !alone("descriptors", TEST) {
        return;
    }
    let Some(lab) = lab(TEST) else {
        return;
    };
    let container = running(&lab, "");
    let kept = File::open("/dev/null").expect("there is one");
    let before = descriptors();
    // Close-on-exec handles on the host: whoever they belong to, they are not for a guest.
    let me = rustix::process::getpid();
    let handles: Vec<OwnedFd> = vec![
        rustix::process::pidfd_open(me, rustix::process::PidfdFlags::empty()).expect("a pidfd"),
        File::open("/proc/self/ns/mnt").expect("a namespace").into(),
        File::open("/proc").expect("a procfs").into(),
        terminal().0,
        File::open(Path::new("/sys/fs/cgroup").join(a_cgroup()))
            .expect("a cgroup")
            .into(),
    ];
    let (inside, _) = told(&container, &AttachOptions::default(), descriptors);
    drop(handles);
    let pipes = |line: &&str| !line.contains("pipe:");
    let list =
        |text: &str| -> Vec<String> { text.lines().filter(pipes).map(str::to_owned).collect() };
    assert_eq!(list(&inside), list(&before));
    assert!(
        inside.contains(&format!("{} /dev/null", kept.as_raw_fd())),
        "{inside}"
    );
}

/// A descriptor stays open in a function; as a directory to begin in it is none.
#[test]
fn a_function_does_not_begin_in_a_descriptor() {
    const TEST: &str = "a_function_does_not_begin_in_a_descriptor";
    if !alone("descriptors", TEST) {
        return;
    }
    let Some(lab) = lab(TEST) else {
        return;
    };
    let container = running(&lab, "");
    let outside = File::open("/").expect("there is one");
    for number in 3..24 {
        let options = AttachOptions {
            cwd: Some(format!("/proc/self/fd/{number}").into()),
            ..AttachOptions::default()
        };
        let identity = |path: &str| {
            fs::metadata(path)
                .map(|found| (found.dev(), found.ino()))
                .ok()
        };
        let look = move || {
            format!(
                "{:?} {}",
                std::env::current_dir(),
                identity(".") == identity("/")
            )
        };
        let (text, _) = told(&container, &options, look);
        assert_eq!(text, "Ok(\"/\") true", "{number}");
    }
    drop(outside);
}

/// A directory of the first cgroup filesystem that is mounted, below /sys/fs/cgroup.
fn a_cgroup() -> PathBuf {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let hybrid = Path::new("/sys/fs/cgroup/unified").exists();
    match (unified, hybrid) {
        (true, _) => PathBuf::new(),
        (_, true) => "unified".into(),
        _ => "freezer".into(),
    }
}

#[test]
fn streams_may_be_swapped_and_shared() {
    let Some(lab) = lab("streams_may_be_swapped_and_shared") else {
        return;
    };
    let container = running(&lab, "");
    let file = |name: &str, text: &str| -> Arc<OwnedFd> {
        let path = lab.file(name, 0o644, text);
        let opened = File::options().read(true).append(true).open(path);
        Arc::new(opened.expect("it was just written").into())
    };
    let input = file("input", "asked\n");
    let output = file("output", "");
    let script = "read word; echo out $word; echo err >&2";
    let options = AttachOptions {
        command: Command::Program(["/bin/sh", "-c", script].map(String::from).to_vec()),
        streams: [
            Some(input.clone()),
            Some(output.clone()),
            Some(output.clone()),
        ],
        ..AttachOptions::default()
    };
    assert_eq!(must(must(container.attach(&options)).wait()), 0);
    assert_eq!(
        read(&lab.files().join("output").to_string_lossy()),
        "out asked\nerr\n"
    );

    // 0 becomes what 1 was, 1 what 2 was, 2 what 0 was; the caller's own stay where they are.
    let own = |fd: std::os::fd::BorrowedFd<'_>| -> Arc<OwnedFd> {
        Arc::new(fd.try_clone_to_owned().expect("it is open"))
    };
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let link = |number: i32| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    let of_caller = [link(1), link(2), link(0)];
    let options = AttachOptions {
        streams: [
            Some(own(stdout.as_fd())),
            Some(own(stderr.as_fd())),
            Some(own(stdin.as_fd())),
        ],
        ..AttachOptions::default()
    };
    let (found, _) = told(&container, &options, || {
        format!("{:?}", [0, 1, 2].map(link))
    });
    assert_eq!(found, format!("{of_caller:?}"));
}

#[test]
fn a_terminal_of_its_own_is_relayed_and_logged() {
    let Some(lab) = lab("a_terminal_of_its_own_is_relayed_and_logged") else {
        return;
    };
    let container = running(&lab, "");
    let before = lab.census();
    let (_master, ours) = terminal();
    let stream = || Some(ours.clone());
    let with_terminal = |log: &Path| AttachOptions {
        terminal: true,
        streams: [stream(), stream(), stream()],
        log: Some(Arc::new(File::create(log).expect("a file").into())),
        ..AttachOptions::default()
    };
    let log = lab.files().join("function");
    let attached = must(container.attach_function(&with_terminal(&log), || {
        let terminal = fs::read_link("/proc/self/fd/1").unwrap_or_default();
        let controlling = File::open("/dev/tty").is_ok();
        let text = format!("on {} {controlling}\n", terminal.display());
        i32::from(rustix::io::write(rustix::stdio::stdout(), text.as_bytes()).is_err())
    }));
    ends_after_its_relay(attached, 0);
    let text = read(&log.to_string_lossy());
    assert!(
        text.starts_with("on /dev/pts/") || text.starts_with("on /pts/"),
        "{text}"
    );
    assert!(text.trim_end().ends_with(" true"), "{text}");

    let log = lab.files().join("program");
    let attached = must(
        container.attach(&AttachOptions {
            command: Command::Program(
                ["/bin/sh", "-c", "tty && echo typed > /dev/tty; exit 3"]
                    .map(String::from)
                    .to_vec(),
            ),
            ..with_terminal(&log)
        }),
    );
    ends_after_its_relay(attached, 3);
    let text = read(&log.to_string_lossy());
    assert!(
        text.starts_with("/dev/pts/") && text.ends_with("typed\r\n"),
        "{text:?}"
    );
    lab.is_as(&before);
}

/// A terminal of the test's own: its master and its peer.
fn terminal() -> (OwnedFd, Arc<OwnedFd>) {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a terminal can be had");
    unlockpt(&master).expect("it is ours");
    let peer = ioctl_tiocgptpeer(&master, flags).expect("it has a peer");
    (master, Arc::new(peer))
}

/// Relays, and finds it still unreaped afterwards.
#[track_caller]
fn ends_after_its_relay(mut attached: Attached, status: i32) {
    must(attached.relay());
    must(attached.relay());
    let found = fields(&read(&format!("/proc/{}/status", attached.pid())));
    assert_eq!(found.get("State").map(String::as_str), Some("Z (zombie)"));
    assert_eq!(must(attached.wait()), status << 8);
}
