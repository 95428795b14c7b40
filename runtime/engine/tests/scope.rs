//! Asking systemd for a scope: on a bus that plays systemd, in every way it can go, and on Debian's
//! dbus-daemon, which has no systemd behind it and takes only what is well formed.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lxc_engine::scope;
use rstest::rstest;

/// How the bus behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Play {
    /// The job is done.
    Done,
    /// The first two units exist.
    TwoExist,
    /// The job fails.
    JobFails,
    /// Another job ends, ours never.
    OtherJob,
    /// It reads and says nothing.
    Silent,
    /// It rejects who connects.
    Rejects,
    /// It hangs up in the middle.
    HangsUp,
    /// It sends what is no message.
    Nonsense,
    /// It announces a message of 2 GiB.
    Huge,
}

/// Bytes of a message, written down here once more: what the product writes is not asked.
fn message(kind: u8, answers: u32, member: &str, types: &str, body: &[u8]) -> Vec<u8> {
    fn field(fields: &mut Vec<u8>, code: u8, kind: u8, value: &[u8]) {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend([code, 1, kind, 0]);
        fields.extend(value);
    }
    fn text(value: &str) -> Vec<u8> {
        let mut bytes = (value.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(value.as_bytes());
        bytes.push(0);
        bytes
    }
    let mut fields = Vec::new();
    if answers > 0 {
        field(&mut fields, 5, b'u', &answers.to_ne_bytes());
    }
    if !member.is_empty() {
        let code = if kind == 3 { 4 } else { 3 };
        field(&mut fields, code, b's', &text(member));
    }
    field(&mut fields, 7, b's', &text(":1.0"));
    if !types.is_empty() {
        let mut value = vec![types.len() as u8];
        value.extend(types.as_bytes());
        value.push(0);
        field(&mut fields, 8, b'g', &value);
    }
    let order = if cfg!(target_endian = "little") {
        b'l'
    } else {
        b'B'
    };
    let mut bytes = vec![order, kind, 0, 1];
    bytes.extend((body.len() as u32).to_ne_bytes());
    bytes.extend(99u32.to_ne_bytes());
    bytes.extend((fields.len() as u32).to_ne_bytes());
    bytes.extend(fields);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    bytes
}

/// `u`, then texts, as JobRemoved has them.
fn job_removed(unit: &str, result: &str) -> Vec<u8> {
    let mut body = 7u32.to_ne_bytes().to_vec();
    for word in ["/job/7", unit, result] {
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend((word.len() as u32).to_ne_bytes());
        body.extend(word.as_bytes());
        body.push(0);
    }
    message(4, 0, "JobRemoved", "uoss", &body)
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

/// Reads one message of the client: its serial and all its bytes.
fn read_call(stream: &mut UnixStream) -> Option<(u32, Vec<u8>)> {
    let mut bytes = vec![0; 16];
    stream.read_exact(&mut bytes).ok()?;
    let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four"));
    let (body, serial, fields) = (number(4) as usize, number(8), number(12) as usize);
    let rest = fields.next_multiple_of(8) + body;
    let mut more = vec![0; rest];
    stream.read_exact(&mut more).ok()?;
    bytes.extend(more);
    Some((serial, bytes))
}

/// Serves one client as `play` says.
fn serve(mut stream: UnixStream, play: Play) -> Option<()> {
    let mut word = Vec::new();
    let mut byte = [0];
    while !word.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).ok()?;
        word.push(byte[0]);
    }
    let own: String = format!("{}", rustix::process::geteuid().as_raw())
        .bytes()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(word, format!("\0AUTH EXTERNAL {own}\r\n").as_bytes());
    if play == Play::Rejects {
        stream.write_all(b"REJECTED EXTERNAL\r\n").ok()?;
        return None;
    }
    stream.write_all(b"OK 0123\r\n").ok()?;
    let mut begin = [0; 7];
    stream.read_exact(&mut begin).ok()?;
    assert_eq!(&begin, b"BEGIN\r\n");
    let mut refused = 0;
    while let Some((serial, call)) = read_call(&mut stream) {
        let answer = message(2, serial, "", "", &[]);
        if !contains(&call, "StartTransientUnit") {
            stream.write_all(&answer).ok()?;
            continue;
        }
        assert!(contains(&call, "inactive-or-failed") && contains(&call, "Delegate"));
        let unit = format!("lxc-demo-{refused}.scope");
        assert!(contains(&call, &unit), "{}", String::from_utf8_lossy(&call));
        match play {
            Play::TwoExist if refused < 2 => {
                refused += 1;
                let name = "org.freedesktop.systemd1.UnitExists";
                stream.write_all(&message(3, serial, name, "", &[])).ok()?;
            }
            Play::Done | Play::TwoExist => {
                // The news may be faster than the answer.
                stream
                    .write_all(&job_removed("other.scope", "failed"))
                    .ok()?;
                stream.write_all(&job_removed(&unit, "done")).ok()?;
                stream.write_all(&answer).ok()?;
            }
            Play::JobFails => {
                stream.write_all(&answer).ok()?;
                stream.write_all(&job_removed(&unit, "failed")).ok()?;
            }
            Play::OtherJob => {
                stream.write_all(&answer).ok()?;
                stream.write_all(&job_removed("other.scope", "done")).ok()?;
            }
            Play::Silent => {}
            Play::HangsUp => {
                stream.write_all(&answer[..20]).ok()?;
                return None;
            }
            Play::Nonsense => stream.write_all(&[b'x'; 64]).ok()?,
            Play::Huge => {
                let mut huge = answer;
                huge[4..8].copy_from_slice(&0x7fff_ffffu32.to_ne_bytes());
                stream.write_all(&huge).ok()?;
            }
            Play::Rejects => {}
        }
    }
    None
}

#[rstest]
#[case(Play::Done, Ok("lxc-demo-0.scope"))]
#[case(Play::TwoExist, Ok("lxc-demo-2.scope"))]
#[case(Play::JobFails, Err("lxc-demo-0.scope: failed"))]
#[case(Play::OtherJob, Err("ETIMEDOUT"))]
#[case(Play::Silent, Err("ETIMEDOUT"))]
#[case(Play::Rejects, Err("REJECTED"))]
#[case(Play::HangsUp, Err("ECONNRESET"))]
#[case(Play::Nonsense, Err("EBADMSG"))]
#[case(Play::Huge, Err("EMSGSIZE"))]
fn a_scope_is_asked_for(#[case] play: Play, #[case] want: Result<&str, &str>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bus");
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        serve(stream, play);
    });
    let address = format!("unix:path={}", path.display());
    let begun = Instant::now();
    let found = scope::start(&address, "demo", 4242, Duration::from_millis(700));
    assert!(begun.elapsed() < Duration::from_secs(3), "no deadline");
    match (&found, want) {
        (Ok(unit), Ok(want)) => assert_eq!(unit, want),
        (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
        _ => panic!("{found:?} instead of {want:?}"),
    }
    server.join().expect("the bus saw what it expects");
}

#[test]
fn nobody_answers_at_an_address_that_is_none() {
    for address in [
        "unix:path=/nonexistent/bus",
        "tcp:host=localhost,port=1",
        "",
    ] {
        let begun = Instant::now();
        assert!(
            scope::start(address, "demo", 1, Duration::from_secs(1)).is_err(),
            "{address}"
        );
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

/// A real bus checks every byte that it passes on, and says who is missing.
#[test]
fn a_real_bus_takes_what_is_said() {
    const TEST: &str = "a_real_bus_takes_what_is_said";
    let directory = tempfile::tempdir().expect("a directory");
    let address = format!("unix:path={}", directory.path().join("bus").display());
    // No services: the host's must not be started by asking for one.
    let config = directory.path().join("bus.conf");
    let text = format!(
        "<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow send_destination=\"*\"/>\
         <allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>"
    );
    std::fs::write(&config, text).expect("the file is ours");
    let daemon = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--nopidfile", "--print-address"])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut daemon) = daemon else {
        println!("COULD NOT RUN: {TEST}: there is no dbus-daemon");
        return;
    };
    let mut line = String::new();
    let mut told = BufReader::new(daemon.stdout.take().expect("piped"));
    told.read_line(&mut line).expect("its address");
    let found = scope::start(line.trim(), "demo", 4242, Duration::from_secs(5));
    daemon.kill().expect("it runs");
    daemon.wait().expect("it ends");
    let error = found.expect_err("there is no systemd");
    let text = error.to_string();
    assert!(text.contains("StartTransientUnit"), "{text}");
    assert!(
        text.contains("org.freedesktop.DBus.Error.ServiceUnknown"),
        "{text}"
    );
}
