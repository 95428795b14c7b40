//! A guest that reaches for who starts it or attaches to it: the caller's terminal, keys, descriptors,
//! and the programs of the host that are seen inside for a moment.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::OWNER;
use crate::probe::{self, PROBE};
use crate::support::{Call, Lab, Ran, could_not_run, eventually};

const IDLE: &str = "lxc.init.cmd = /bin/sleep 1000";

/// With all three streams redirected the caller's terminal is still his session's, not ours.
#[test]
fn an_attached_program_cannot_type_on_the_callers_terminal() {
    const TEST: &str = "an_attached_program_cannot_type_on_the_callers_terminal";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", IDLE);
    if probe::inside(&lab, &name, TEST).is_none() {
        return;
    }
    lab.start(&name);
    let attach = format!(
        "{}/bin/lxc-attach -P {} -n {name} -- {PROBE} tty",
        lab.prefix().display(),
        lab.lxcpath().display()
    );
    // What is typed would be read by the shell's next program.
    let listen = "timeout 0.3 head -c 1";
    let script = format!("{attach} </dev/null >{{}} 2>&1; {listen}; echo over");
    let out = lab.files().join("out");
    let script = script.replace("{}", &out.display().to_string());
    let shell = Call::new("sh").args(["-c", &script]).start_on_terminal();
    shell.shows("over");
    let screen = shell.finish().stdout;
    let told = fs::read_to_string(&out).expect("the shell made it");
    assert!(told.starts_with("/dev/tty: ENXIO\n"), "{told}");
    assert!(!told.contains("done"), "{told}");
    assert_eq!(screen.trim(), "over", "something was typed");

    // A program with the caller's terminal for its streams has one of the container's instead: what it
    // types there nobody outside reads.
    let script = format!("{attach}; {listen}; echo over");
    let shell = Call::new("sh").args(["-c", &script]).start_on_terminal();
    shell.shows("over");
    let screen = shell.finish().stdout;
    let typed = screen
        .lines()
        .filter(|line| line.trim() == "xover" || line.trim() == "xxxxover");
    assert_eq!(typed.count(), 0, "something was typed: {screen}");
    assert!(screen.contains("/dev/tty: done"), "{screen}");
    lab.kill(&name);
}

/// The keys of who starts and of who attaches are theirs.
#[test]
fn the_callers_keys_are_not_found_inside() {
    const TEST: &str = "the_callers_keys_are_not_found_inside";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "");
    let Some(program) = probe::inside(&lab, &name, TEST) else {
        return;
    };
    // The key is there for who holds it.
    let program_path = program.to_str().expect("a path in UTF-8");
    with_a_key(&program, &[program_path, "key", "hostile-test"])
        .exits(0)
        .prints("done\n");
    start_with_a_key(&lab, &program, &name);
    let attach = lab.prefix().join("bin/lxc-attach").display().to_string();
    let lxcpath = lab.lxcpath().display().to_string();
    let words = ["-P", &lxcpath, "-n", &name, "--", PROBE, "key"];
    let words: Vec<&str> = [attach.as_str()].into_iter().chain(words).collect();
    with_a_key(&program, &[words.as_slice(), &["hostile-test"]].concat())
        .exits(0)
        .prints("ENOKEY\n");
    lab.inside(&name, &["cat", "/key"])
        .exits(0)
        .prints("ENOKEY\n");
    lab.kill(&name);
}

/// Who starts can give his session keyring, if that is what the configuration says.
#[test]
fn the_starters_keys_are_given_if_that_is_wanted() {
    const TEST: &str = "the_starters_keys_are_given_if_that_is_wanted";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.keyring.session = 1\n");
    let Some(program) = probe::inside(&lab, &name, TEST) else {
        return;
    };
    start_with_a_key(&lab, &program, &name);
    lab.inside(&name, &["cat", "/key"])
        .exits(0)
        .prints("done\n");
    lab.kill(&name);
}

/// Runs `words` by somebody whose session keyring holds a key.
fn with_a_key(probe: &Path, words: &[&str]) -> Ran {
    let call = Call::new(probe).args(["with-key", "hostile-test"]);
    call.args(words).run()
}

/// Starts a container with such a key, whose init writes to /key whether it finds it.
#[track_caller]
fn start_with_a_key(lab: &Lab, probe: &Path, name: &str) {
    let start = lab.prefix().join("bin/lxc-start").display().to_string();
    let lxcpath = lab.lxcpath().display().to_string();
    // What cannot be asked for half: attach finds all of it.
    let init = format!("{PROBE} key hostile-test > /new; mv /new /key; exec sleep 1000");
    let words = ["-P", &lxcpath, "-n", name, "--", "/bin/sh", "-c", &init];
    let words: Vec<&str> = [start.as_str()].into_iter().chain(words).collect();
    with_a_key(probe, &words).exits(0);
    let key = lab.lxcpath().join(name).join("rootfs/key");
    eventually("the init has looked for the key", || key.is_file());
}

/// Attaches 40 times while a program inside tries the probe's `verb`; how that program ended.
#[track_caller]
fn while_it_tries(lab: &Lab, name: &str, verb: &str, attach: impl Fn()) -> Ran {
    let words = ["-n", name, "--", PROBE, verb, "/over"];
    let storm = lab.tool("lxc-attach", &words);
    let storm = storm.within(Duration::from_secs(60)).start();
    storm.shows("begun\n");
    for _ in 0..40 {
        attach();
    }
    fs::write(lab.rootfs(name).join("over"), "").expect("the rootfs is ours");
    storm.finish().exits(0)
}

/// Guest root traces whatever appears while the host attaches, and looks at its descriptors.
#[test]
fn nobody_inside_traces_who_joins() {
    const TEST: &str = "nobody_inside_traces_who_joins";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    // What root may trace, only the capability says: a privileged guest that keeps it may trace all.
    let name = lab.busybox("c1", &format!("{IDLE}\nlxc.cap.drop = sys_ptrace"));
    if probe::inside(&lab, &name, TEST).is_none() {
        return;
    }
    lab.start(&name);
    let told = while_it_tries(&lab, &name, "seize", || {
        lab.inside(&name, &["/bin/true"]).exits(0);
    });
    assert_eq!(
        told.stdout, "begun\ntried\nbefore exec: 0\ndirectories: 0\n",
        "{told}"
    );
    lab.kill(&name);
}

/// `#!/proc/self/exe` makes the kernel execute what joins as an interpreter inside: its file can be
/// read there, and not be written, while it runs or later.
#[test]
fn nobody_inside_overwrites_the_program_that_joins() {
    const TEST: &str = "nobody_inside_overwrites_the_program_that_joins";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", IDLE);
    if probe::inside(&lab, &name, TEST).is_none() {
        return;
    }
    let script = lab.rootfs(&name).join("script");
    fs::write(&script, "#!/proc/self/exe\n").expect("the rootfs is ours");
    Call::new("chmod").arg("755").arg(&script).run().exits(0);
    let digests = || digests_of(lab.prefix());
    let before = digests();
    lab.start(&name);
    let told = while_it_tries(&lab, &name, "overwrite", || {
        // What it is as an interpreter does not matter; that it was seen does.
        lab.inside(&name, &["/script"]);
    });
    assert_eq!(told.stdout, "begun\nseen\nwritten: 0\n", "{told}");
    assert_eq!(digests(), before);
    lab.kill(&name);
    // As init it is no program of the container either.
    let words = ["-n", &name, "--", "/script"];
    lab.tool("lxc-start", &words).run();
    lab.tool("lxc-stop", &["-n", &name, "-k"]).run();
    assert_eq!(digests(), before);
}

/// What the installed programs hold.
fn digests_of(prefix: &Path) -> String {
    let script = "find . -type f | LC_ALL=C sort | xargs sha256sum";
    let script = format!("cd {} && {script}", prefix.display());
    Call::new("sh").args(["-c", &script]).run().exits(0).stdout
}

/// A directory is entered by its name inside, never by a descriptor that happens to be open.
#[test]
fn no_descriptor_is_a_directory_to_begin_in() {
    let Some(lab) = Lab::new(OWNER, "no_descriptor_is_a_directory_to_begin_in") else {
        return;
    };
    let name = lab.busybox("c1", IDLE);
    let before = lab.census();
    for number in 0..24 {
        let cwd = format!("lxc.init.cwd=/proc/self/fd/{number}");
        let ran = lab.tool("lxc-start", &["-n", &name, "-s", &cwd]).run();
        assert!(
            ran.code() == 1 && ran.stderr.contains("lxc.init.cwd"),
            "{ran}"
        );
        lab.is_as(&before);
    }
    lab.start(&name);
    for number in 0..24 {
        let script = format!("cd /proc/self/fd/{number} 2>/dev/null && pwd -P; true");
        let call = Call::new("sh").args([
            "-c",
            &format!(
                "cd / && exec {}/bin/lxc-attach -P {} -n {name} -- sh -c 'pwd -P; {script}'",
                lab.prefix().display(),
                lab.lxcpath().display()
            ),
        ]);
        let ran = call.within(Duration::from_secs(10)).run().exits(0);
        assert!(!ran.stdout.contains("unreachable"), "{ran}");
        // Nothing is open but the three streams, and those are no directories.
        assert_eq!(ran.stdout, "/\n", "{ran}");
    }
    lab.kill(&name);
}

/// A guest that covered its /proc decides nothing by it: who attaches has what init may, not more.
#[test]
fn a_covered_proc_gives_who_attaches_no_more_power() {
    let Some(lab) = Lab::new(OWNER, "a_covered_proc_gives_who_attaches_no_more_power") else {
        return;
    };
    let name = lab.busybox("c1", &format!("{IDLE}\nlxc.cap.drop = sys_time net_raw"));
    lab.start(&name);
    let bounding = || {
        let script = "mount -t proc again /mnt && grep CapBnd /mnt/self/status; umount /mnt";
        lab.inside(&name, &["sh", "-c", script]).exits(0).stdout
    };
    let before = bounding();
    // All that a runtime could read there, with more than the truth in it.
    let script = "mount -t tmpfs cover /proc && mkdir -p /proc/self/attr /proc/1/attr /proc/sys/kernel &&
        echo 'CapBnd: ffffffffffffffff' > /proc/self/status && cp /proc/self/status /proc/1/status &&
        echo unconfined > /proc/self/attr/current && echo 63 > /proc/sys/kernel/cap_last_cap";
    lab.inside(&name, &["sh", "-c", script]).exits(0);
    assert_eq!(bounding(), before);
    let script = "cat /proc/self/status; cat /proc/self/attr/current";
    lab.inside(&name, &["sh", "-c", script])
        .exits(0)
        .prints("CapBnd: ffffffffffffffff\nunconfined\n");
    lab.kill(&name);
}

/// Whoever joins a container runs nothing of its files until the exec: no library, no name service.
#[test]
fn who_joins_loads_nothing_of_the_guests() {
    const TEST: &str = "who_joins_loads_nothing_of_the_guests";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    if !Path::new("/usr/bin/strace").exists() {
        could_not_run(TEST, "there is no strace");
        return;
    }
    let name = lab.busybox("c1", IDLE);
    let traced = |tool: &str, words: &[&str]| {
        let calls = "trace=open,openat,openat2,execve,execveat";
        let call = Call::new("strace")
            .args(["-f", "-qq", "-e", calls, "-o"])
            .arg(lab.files().join(tool))
            .arg(lab.prefix().join("bin").join(tool));
        let call = call.arg("-P").arg(lab.lxcpath()).args(["-n", &name]);
        call.args(words).within(Duration::from_secs(30)).start()
    };
    // It follows the monitor and the init to their end.
    let started = traced("lxc-start", &[]);
    eventually("it runs", || lab.state(&name) == "RUNNING");
    traced("lxc-attach", &["--", "/bin/true"]).finish().exits(0);
    lab.kill(&name);
    started.finish().exits(0);
    let read = |tool: &str| fs::read_to_string(lab.files().join(tool)).expect("strace wrote it");
    let all = read("lxc-start") + &read("lxc-attach");
    let bad = [
        "/lib/",
        "/lib64/",
        ".so",
        "nsswitch",
        "locale",
        "/etc/group",
        "ld.so",
    ];
    // The programs of the guest, statically linked, come after the exec that they are.
    let found: Vec<_> = all
        .lines()
        .filter(|line| bad.iter().any(|word| line.contains(word)) && !line.contains("/sys/"))
        .filter(|line| !line.contains("ENOENT"))
        // The rootfs' mount point is ours.
        .filter(|line| !line.contains("lib/lxc/rootfs"))
        .collect();
    let of_the_tool: Vec<_> = found
        .iter()
        .filter(|line| !line.contains("/usr/"))
        .collect();
    assert!(of_the_tool.is_empty(), "{of_the_tool:#?}");
    assert!(
        all.contains("/bin/sleep") && all.contains("/bin/true"),
        "{all}"
    );
}
