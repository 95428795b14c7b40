use super::*;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

fn rule(allow: bool, text: &str) -> Line {
    parse_rule(if allow { "allow" } else { "deny" }, text).expect(text)
}

/// A list after lines such as `+ c 1:3 rwm` (allow) and `- a` (deny); second, which of them changed it.
fn list(lines: &[&str]) -> (List, Vec<bool>) {
    let mut list = List::new();
    let changed = lines
        .iter()
        .map(|line| list.apply(rule(line.starts_with('+'), &line[2..])))
        .collect();
    (list, changed)
}

/// Runs a program as the kernel would: `access` (1 mknod, 2 read, 4 write) to a device of `kind` (1 block, 2 char).
fn run(
    program: &[u64],
    kind: u32,
    access: u32,
    major: u32,
    minor: u32,
) -> std::result::Result<u64, String> {
    let mut registers = [0_u64; 6];
    let mut at = 0;
    for _ in 0..10_000 {
        let word = *program
            .get(at)
            .ok_or_else(|| format!("ran past the end at {at}"))?;
        let (target, source) = ((word >> 8 & 0xf) as usize, (word >> 12 & 0xf) as usize);
        let (offset, immediate) = ((word >> 16) as i16, (word >> 32) as i32);
        let jump = (at as isize + 1 + isize::from(offset)) as usize;
        at += 1;
        match word as u8 {
            0x61 => {
                registers[target] = match offset {
                    0 => u64::from(access << 16 | kind),
                    4 => u64::from(major),
                    8 => u64::from(minor),
                    other => return Err(format!("read at {other}")),
                }
            }
            0xb7 => registers[target] = immediate as i64 as u64,
            0xbc => registers[target] = u64::from(registers[source] as u32),
            0x54 => registers[target] = u64::from(registers[target] as u32 & immediate as u32),
            0x74 => registers[target] = u64::from((registers[target] as u32) >> immediate),
            0x55 if registers[target] != immediate as i64 as u64 => at = jump,
            0x5d if registers[target] != registers[source] => at = jump,
            0x55 | 0x5d => {}
            0x95 => return Ok(registers[0]),
            other => return Err(format!("unknown operation {other:#x}")),
        }
    }
    Err("does not end".into())
}

/// A rule on one short line, `+` for allow, `-` for deny, the access as the kernel's bits.
fn shown(line: Line) -> String {
    match line {
        Line::Everything { allow } => format!("{} everything", if allow { '+' } else { '-' }),
        Line::Rule(rule) => {
            let number =
                |number: Option<u32>| number.map_or("*".into(), |number| number.to_string());
            let (major, minor) = (number(rule.major), number(rule.minor));
            let sign = if rule.allow { '+' } else { '-' };
            format!(
                "{sign} {:?} {major}:{minor} {}",
                rule.kind,
                rule.access.bits()
            )
        }
    }
}

#[test]
fn rules_are_read() {
    let check = |verb: &str, text: &str, expected: &str| {
        assert_eq!(
            parse_rule(verb, text).map(shown).as_deref(),
            Ok(expected),
            "{verb} {text:?}"
        );
    };
    check("allow", "a", "+ everything");
    check("deny", "a", "- everything");
    check("allow", "c 1:3 rwm", "+ Char 1:3 7");
    check("deny", "c 1:3 rwm", "- Char 1:3 7");
    check("whatever", "c 1:3 r", "- Char 1:3 2");
    check("allow", "b *:* m", "+ Block *:* 1");
    check("allow", "c 136:* wr", "+ Char 136:* 6");
    check("allow", "a *:* rwm", "+ All *:* 7");
    check("allow", "c 1:3 rrr", "+ Char 1:3 2");
    check("allow", "c 1:3 ", "+ Char 1:3 0");
    check("allow", "c\t1:3\trw", "+ Char 1:3 6");
    check("allow", "/dev/null rw", "+ Char 1:3 6");
}

#[test]
fn what_is_no_rule_is_said_to_be_none() {
    let check = |verb: &str, text: &str, part: &str| {
        let error = parse_rule(verb, text).expect_err(text);
        assert!(
            error.contains(part) && error.contains(&format!("{text:?}")),
            "{verb} {text:?}: {error}"
        );
    };
    for text in [
        "",
        "c",
        "c 1:3",
        "c 1 rwm",
        "c :3 rwm",
        "c 1: rwm",
        "c 1:3:4 r",
        "a ",
        "aa",
        "d 1:3 r",
    ] {
        check("allow", text, "TYPE MAJOR:MINOR ACCESS");
    }
    for text in [
        "c 1:3 x",
        "c 1:3 rwmr",
        "c 1:3 rwm ",
        "c  1:3 rwm",
        "c 1:3  rwm",
        "dev/null rw",
    ] {
        check("deny", text, "TYPE MAJOR:MINOR ACCESS");
    }
    for text in [
        "c -1:3 rwm",
        "c +1:3 rwm",
        "c 1:0x3 rwm",
        "c 99999999999:3 rwm",
    ] {
        check("allow", text, "TYPE MAJOR:MINOR ACCESS");
    }
    check("allow", "/dev/null", "the access is missing");
    check("allow", "/dev/null x", "up to three of r, w and m");
    assert!(
        parse_rule("allow", "/dev rwm")
            .unwrap_err()
            .ends_with("is no device")
    );
    assert!(
        parse_rule("allow", "/nonexistent rw")
            .unwrap_err()
            .contains("ENOENT")
    );
    check("deny", "/dev/null rw", "only to allow it");
}

#[test]
fn a_list_tells_what_changed_it() {
    let check = |lines: &[&str], changed: &[bool], empty: bool| {
        let (list, found) = list(lines);
        assert_eq!(
            (found.as_slice(), list.is_empty()),
            (changed, empty),
            "{lines:?}"
        );
    };
    check(&[], &[], true);
    check(&["- a"], &[false], true);
    check(&["+ a"], &[true], true);
    check(&["+ a", "+ a", "- a"], &[true, false, true], true);
    check(&["+ c 1:3 rwm"], &[true], false);
    check(&["- c 1:3 rwm"], &[true], false);
    check(&["+ c 1:3 rwm", "+ c 1:3 rwm"], &[true, false], false);
    check(
        &["+ c 1:3 rwm", "- c 1:3 rwm", "+ c 1:3 rwm"],
        &[true, true, true],
        false,
    );
    check(
        &["+ c 1:3 rwm", "+ c 1:3 rw", "+ c 1:* rwm", "+ b 1:3 rwm"],
        &[true; 4],
        false,
    );
    check(&["+ c 1:3 rwm", "- a"], &[true, true], true);
    check(&["+ c 1:3 rwm", "+ a"], &[true, true], true);
}

#[test]
fn a_program_answers_by_its_list() {
    const BLOCK: u32 = 1;
    const CHAR: u32 = 2;
    const MKNOD: u32 = 1;
    const READ: u32 = 2;
    const WRITE: u32 = 4;
    let check =
        |lines: &[&str], (kind, major, minor): (u32, u32, u32), access: u32, allowed: bool| {
            let program = list(lines).0.program();
            let answer = run(&program, kind, access, major, minor);
            assert_eq!(
                answer,
                Ok(u64::from(allowed)),
                "{lines:?}: access {access} to {kind} {major}:{minor}"
            );
        };
    let null = (CHAR, 1, 3);

    // Nothing listed, nothing allowed; and the other way round.
    check(&[], null, READ, false);
    check(&["+ a"], null, READ, true);

    // A list of what is allowed.
    let some = &["- a", "+ c *:* m", "+ c 1:3 rw", "+ b 8:* r", "- c 1:5 rwm"][..];
    check(some, null, READ, true);
    check(some, null, READ | WRITE, true);
    check(some, null, MKNOD, true);
    check(some, null, MKNOD | READ, false);
    check(some, (CHAR, 1, 4), READ, false);
    check(some, (CHAR, 2, 3), READ, false);
    check(some, (CHAR, 2, 3), MKNOD, true);
    check(some, (BLOCK, 1, 3), READ, false);
    check(some, (BLOCK, 8, 1), READ, true);
    check(some, (BLOCK, 8, 77), READ, true);
    check(some, (BLOCK, 8, 77), WRITE, false);
    check(some, (BLOCK, 9, 0), READ, false);
    check(some, (CHAR, 1, 5), READ, false);

    // A list of what is denied; a rule stops only what asks for nothing beyond it.
    let most = &["+ a", "- c 1:5 rwm", "- c 1:3 r"][..];
    check(most, (CHAR, 1, 5), READ | WRITE, false);
    check(most, (CHAR, 1, 7), READ, true);
    check(most, null, READ, false);
    check(most, null, READ | WRITE, true);

    // Taken back, and without any letter.
    check(&["+ c 1:3 rwm", "- c 1:3 rwm"], null, READ, false);
    check(
        &["+ c 1:3 rwm", "- c 1:3 rwm", "+ c 1:3 rwm"],
        null,
        READ,
        true,
    );
    check(&["+ c 1:3 "], null, READ, false);

    // A rule without any test decides everything, in whatever place.
    check(
        &["+ c 1:3 rwm", "+ a *:* rwm", "+ c 1:4 rwm"],
        (BLOCK, 200, 1),
        READ | WRITE,
        true,
    );
    check(&["+ a", "- a *:* rwm"], null, READ, false);

    // Numbers no device has.
    check(&["+ c 4294967295:3 rwm"], null, READ, false);
    check(&["+ c 4294967295:3 rwm"], (CHAR, u32::MAX, 3), READ, false);
}

#[test]
fn every_instruction_can_be_reached() {
    // The kernel refuses a program with a part that nothing reaches.
    let after_all = list(&["+ a *:* rwm", "+ c 1:3 rwm"]).0.program();
    assert_eq!(after_all.len(), 6 + 2);
}

/// A cgroup of the unified hierarchy that goes when the test ends.
struct TestCgroup(PathBuf);

impl TestCgroup {
    fn new(purpose: &str) -> Self {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let unified = roots
            .into_iter()
            .find(|root| root.join("cgroup.controllers").exists());
        let root = unified.expect("could not run: no cgroup2 file system is mounted");
        let path = root.join(format!("lxcrt-devfilter-{purpose}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("could not run: making a cgroup needs root");
        Self(path)
    }

    fn open(&self) -> File {
        File::open(&self.0).expect("the cgroup's directory")
    }

    /// Whether a new process in the cgroup can open a device with the shell's `redirection`.
    fn can(&self, redirection: &str) -> bool {
        let script = format!("echo 0 > \"$1/cgroup.procs\" || exit 2; : {redirection}");
        let mut shell = std::process::Command::new("/bin/sh");
        let output = shell
            .args(["-c", &script, "sh"])
            .arg(&self.0)
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() || said.contains("not permitted"),
            "{redirection}: {said}"
        );
        output.status.success()
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.0) {
            eprintln!("{} was left behind: {error}", self.0.display());
        }
    }
}

#[test]
fn the_kernel_enforces_a_list_and_its_changes() {
    let cgroup = TestCgroup::new("enforce");
    let directory = cgroup.open();
    let (mut devices, _) = list(&["- a", "+ c 1:3 rwm", "+ c 1:5 r"]);
    let can = |what: &[&str]| -> Vec<bool> {
        what.iter()
            .map(|redirection| cgroup.can(redirection))
            .collect()
    };
    let asked = [
        "</dev/null",
        ">/dev/null",
        "</dev/zero",
        "<>/dev/zero",
        "</dev/full",
    ];
    assert_eq!(can(&asked), [true; 5], "before");

    let first = attach(directory.as_fd(), &devices).expect("attach a program");
    assert_eq!(
        can(&asked),
        [true, true, true, false, false],
        "allowed by list"
    );

    // The redirection of standard input needs /dev/null, which every child opens before it enters the cgroup.
    assert!(devices.apply(rule(false, "c 1:3 rwm")) && devices.apply(rule(true, "c 1:7 r")));
    let second = replace(directory.as_fd(), first.as_fd(), &devices).expect("replace the program");
    assert_eq!(
        can(&asked),
        [false, false, true, false, true],
        "after a change"
    );
    let gone =
        detach(directory.as_fd(), first.as_fd()).expect_err("the first program is off already");
    assert_eq!(gone.errno, Errno::NOENT, "{gone}");

    // One rule that decides everything.
    devices.apply(rule(true, "a *:* rwm"));
    let third = replace(directory.as_fd(), second.as_fd(), &devices)
        .expect("a program with an unconditional rule");
    assert_eq!(can(&asked), [true; 5], "everything");

    devices.apply(rule(true, "a"));
    devices.apply(rule(false, "c 1:7 rwm"));
    let fourth =
        replace(directory.as_fd(), third.as_fd(), &devices).expect("a list of what is denied");
    assert_eq!(
        can(&asked),
        [true, true, true, true, false],
        "denied by list"
    );
    detach(directory.as_fd(), fourth.as_fd()).expect("detach");
    assert_eq!(can(&asked), [true; 5], "after");
}

#[test]
fn an_error_names_the_call_and_the_cgroup() {
    let not_a_cgroup = File::open("/proc/self").expect("/proc");
    let error = attach(not_a_cgroup.as_fd(), &list(&["+ c 1:3 rwm"]).0)
        .expect_err("/proc is no cgroup")
        .to_string();
    assert!(error.starts_with("bpf(BPF_PROG_ATTACH, fd "), "{error}");
    assert!(error.contains("EBADF"), "{error}");
}
