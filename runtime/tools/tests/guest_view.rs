//! What a container's init finds: descriptors, environment, terminals, capabilities, devices.

mod support;

use std::collections::BTreeSet;

use support::Lab;

const OWNER: &str = "t1";

#[test]
fn init_has_three_descriptors_and_its_own_environment() {
    let test = "init_has_three_descriptors_and_its_own_environment";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    // A descriptor and a variable of the caller's: neither is the container's business.
    let held = lab.file("held", 0o600, "");
    let script = format!(
        "exec 9<{} && SECRET=1 exec {}/bin/lxc-start -P {} {name}",
        held.display(),
        lab.prefix().display(),
        lab.lxcpath().display()
    );
    support::Call::new("sh")
        .args(["-c", &script])
        .run()
        .exits(0);
    lab.inside(&name, &["/bin/ls", "/proc/1/fd"])
        .exits(0)
        .prints("0\n1\n2\n");
    let ran = lab.inside(&name, &["/bin/cat", "/proc/1/environ"]).exits(0);
    let names: BTreeSet<&str> = ran
        .stdout
        .split_terminator('\0')
        .filter_map(|word| word.split('=').next())
        .collect();
    assert!(names.contains("container"), "{ran}");
    assert!(!names.contains("SECRET"), "{ran}");
    let monitor = lab.monitor_pid(&name).expect("it runs").to_string();
    let descriptors = std::fs::read_dir(format!("/proc/{monitor}/fd")).expect("the monitor runs");
    let held_open = descriptors
        .flatten()
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == held));
    assert!(!held_open, "the monitor holds {}", held.display());
}

#[test]
fn attached_programs_get_the_environment_asked_for() {
    let test = "attached_programs_get_the_environment_asked_for";
    let Some(lab) = Lab::new(OWNER, test) else {
        return;
    };
    let name = lab.busybox("c1", "");
    lab.start(&name);
    let rows: &[(&[&str], &[&str], &[&str])] = &[
        (&[], &["container=lxc", "KEPT=1"], &[]),
        (&["--clear-env"], &["container=lxc"], &["KEPT=1"]),
        (
            &["--clear-env", "--keep-var", "KEPT", "-v", "NEW=2"],
            &["KEPT=1", "NEW=2"],
            &[],
        ),
    ];
    for (options, present, absent) in rows {
        let call = lab.tool("lxc-attach", &["-n", &name]);
        let call = call
            .args(*options)
            .args(["--", "/bin/env"])
            .env("KEPT", "1");
        let ran = call.run().exits(0);
        let lines: BTreeSet<&str> = ran.stdout.lines().collect();
        assert!(present.iter().all(|line| lines.contains(line)), "{ran}");
        assert!(!absent.iter().any(|line| lines.contains(line)), "{ran}");
        assert!(lines.iter().any(|line| line.starts_with("PATH=")), "{ran}");
    }
}

#[test]
fn terminals_devices_and_capabilities() {
    let Some(lab) = Lab::new(OWNER, "terminals_devices_and_capabilities") else {
        return;
    };
    let name = lab.busybox("c1", "lxc.tty.max = 3\nlxc.cap.drop = sys_boot net_raw");
    lab.start(&name);
    let script = "for n in null zero full urandom random tty console ptmx tty1 tty2 tty3; do
        [ -c /dev/$n ] || echo $n; done; [ ! -e /dev/tty4 ] || echo tty4; echo x > /dev/null";
    lab.inside(&name, &["/bin/sh", "-c", script])
        .exits(0)
        .prints("");
    // A terminal of the container's own can be opened.
    let script = "exec 3<>/dev/ptmx && exec 4<>/dev/tty3 && [ -t 3 ] && [ -t 4 ]";
    lab.inside(&name, &["/bin/sh", "-c", script]).exits(0);

    let status = lab.inside(&name, &["/bin/cat", "/proc/1/status"]).exits(0);
    let bounding = status
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or_else(|| panic!("no bounding set\n{status}"));
    const NET_RAW: u32 = 13;
    const SYS_MODULE: u32 = 16;
    const SYS_BOOT: u32 = 22;
    const SYS_TIME: u32 = 25;
    const CHOWN: u32 = 0;
    for dropped in [NET_RAW, SYS_MODULE, SYS_BOOT, SYS_TIME] {
        assert_eq!(bounding >> dropped & 1, 0, "{dropped} is in {bounding:x}");
    }
    assert_eq!(bounding >> CHOWN & 1, 1, "{bounding:x}");
    // What is attached has no more than init has.
    let attached = lab
        .inside(&name, &["/bin/cat", "/proc/self/status"])
        .exits(0);
    let line = |text: &str| {
        let found = text.lines().find(|line| line.starts_with("CapBnd:"));
        found.map(str::to_owned)
    };
    assert_eq!(line(&attached.stdout), line(&status.stdout));
}
