//! Runs a program under a deadline while its output is shown, kept, or both.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// After the program itself ended, its children get this long to let go of its output.
const LINGER: Duration = Duration::from_secs(5);

/// How a program ended and what it said.
pub struct Ran {
    pub status: ExitStatus,
    /// Standard output and error, as they were interleaved.
    pub text: String,
}

impl Ran {
    /// Why it failed, in words; None when it did not.
    pub fn failure(&self) -> Option<String> {
        failure(self.status)
    }
}

/// Runs `words` through timeout(1), which ends it after `limit`.
///
/// Its deadline needs no thread, no signal handler and no polling here.
pub fn bounded(limit: Duration, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    // In the foreground: an interrupt from the terminal reaches the program too.
    command.args(["--foreground", "--kill-after=10"]);
    command.arg(limit.as_secs().to_string()).arg(program);
    command.stdin(Stdio::null());
    command
}

/// Runs `command`, shows each line as it comes, and returns them all.
pub fn shown(command: Command) -> io::Result<Ran> {
    shown_until(command, LINGER)
}

fn shown_until(mut command: Command, linger: Duration) -> io::Result<Ran> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command); // it holds the pipe's writing ends
    let (lines, arriving) = mpsc::channel::<String>();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&line).into_owned();
            print!("{text}");
            let _ = io::stdout().flush(); // a closed terminal must not end the run
            if lines.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    let status = child.wait()?;
    let deadline = Instant::now() + linger;
    let mut text = String::new();
    loop {
        match arriving.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => text.push_str(&line),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                println!("(a process that it left behind still holds its output)");
                break;
            }
        }
    }
    Ok(Ran { status, text })
}

/// Runs `command` with its output kept in `file` and returned, not shown.
///
/// A file, not a pipe: a daemon that forgot to let go of it must not hold us up.
pub fn kept(mut command: Command, file: &Path) -> io::Result<Ran> {
    let output = File::create(file)?;
    let status = command
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()?;
    let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
    Ok(Ran { status, text })
}

fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(124), _) => Some("did not end in the time it was given".to_string()),
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, Some(signal)) => Some(format!("killed by signal {signal}")),
        (None, None) => Some(status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: u64) -> Ran {
        let mut command = bounded(Duration::from_secs(limit), "sh");
        command.args(["-c", script]);
        shown(command).unwrap()
    }

    #[test]
    fn both_streams_are_kept_in_order() {
        let ran = shell("echo one; echo two >&2; echo three; exit 3", 10);
        assert_eq!(ran.text, "one\ntwo\nthree\n");
        assert_eq!(ran.failure().as_deref(), Some("exit status 3"));
    }

    #[test]
    fn a_deadline_ends_it() {
        let ran = shell("echo begun; exec sleep 60", 1);
        assert_eq!(ran.text, "begun\n");
        assert!(ran.failure().unwrap().contains("time"));
    }

    #[test]
    fn an_orphan_that_holds_the_output_does_not_hold_us() {
        let mut command = bounded(Duration::from_secs(10), "sh");
        command.args(["-c", "sleep 3 & echo gone"]);
        let begun = Instant::now();
        let ran = shown_until(command, Duration::from_millis(300)).unwrap();
        assert_eq!(ran.text, "gone\n");
        assert!(ran.failure().is_none());
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
