//! Running other programs: each with a deadline, each telling its whole scene when it disappoints.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use super::terminal::Terminal;
use super::within;

/// A call that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// A program to be called.
pub struct Call {
    command: Command,
    input: String,
    deadline: Duration,
}

impl Call {
    /// A call of `program` without input, in a process group of its own, with 20 seconds of time.
    pub fn new(program: impl AsRef<OsStr>) -> Call {
        let mut command = Command::new(program);
        command
            .env_remove("POSIXLY_CORRECT")
            .env_remove("LISTEN_FDS");
        Call {
            command,
            input: String::new(),
            deadline: DEADLINE,
        }
    }

    /// Adds a word.
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Call {
        self.command.arg(word);
        self
    }

    /// Adds words.
    pub fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Call {
        self.command.args(words);
        self
    }

    /// Adds the program and the words of another call, whose environment is dropped.
    pub fn words_of(mut self, other: Call) -> Call {
        self.command.arg(other.command.get_program());
        self.command.args(other.command.get_args());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Call {
        self.command.env(name, value);
        self
    }

    /// Gives it `text` to read, then the end.
    pub fn input(mut self, text: &str) -> Call {
        self.input = text.to_owned();
        self
    }

    /// Gives it another deadline.
    pub fn within(mut self, deadline: Duration) -> Call {
        self.deadline = deadline;
        self
    }

    /// Starts it and waits until it has ended and nobody holds its output open any more: a daemon
    /// that keeps it open keeps `x=$(lxc-start c1)` from returning.
    ///
    /// # Panics
    /// It cannot be started, or the deadline passes; its process group is killed then.
    #[track_caller]
    pub fn run(self) -> Ran {
        self.start().finish()
    }

    /// Starts it with pipes for its output.
    ///
    /// # Panics
    /// It cannot be started.
    #[track_caller]
    pub fn start(mut self) -> Process {
        let line = self.line();
        self.command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = spawn(&mut self.command, &line);
        let mut streams = [None, None];
        streams[0] = child.stdout.take().map(Stream::of);
        streams[1] = child.stderr.take().map(Stream::of);
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading its input closes the pipe; that is its right.
            let _ = stdin.write_all(self.input.as_bytes());
        }
        Process {
            child,
            line,
            begun,
            deadline: self.deadline,
            leads_group: true,
            streams,
            keyboard: None,
        }
    }

    /// Starts it as leader of a session of its own on a new terminal.
    ///
    /// # Panics
    /// There is no terminal to be had, or the program cannot be started.
    #[track_caller]
    pub fn start_on_terminal(self) -> Process {
        let line = self.line();
        let terminal = Terminal::open();
        // setsid(1) takes the terminal in the new session and executes the program in its place.
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .stdin(terminal.slave())
            .stdout(terminal.slave())
            .stderr(terminal.slave());
        let begun = Instant::now();
        let child = spawn(&mut command, &line);
        drop(command);
        let keyboard = terminal.keyboard();
        Process {
            child,
            line,
            begun,
            deadline: self.deadline,
            leads_group: false,
            streams: [Some(Stream::of(terminal.screen())), None],
            keyboard: Some(keyboard),
        }
    }

    fn line(&self) -> String {
        let words = [self.command.get_program()];
        let words = words.into_iter().chain(self.command.get_args());
        words
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[track_caller]
fn spawn(command: &mut Command, line: &str) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("cannot start {line}: {error}"),
    }
}

/// What a program writes, read by a thread so that no pipe fills up.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Stream {
    fn of(mut source: impl Read + Send + 'static) -> Stream {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (tell, ended) = mpsc::channel();
        let sink = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut part = [0; 4096];
            // A terminal nobody holds open any more says EIO: its way to say that this is the end.
            while let Ok(length @ 1..) = source.read(&mut part) {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                sink.extend_from_slice(&part[..length]);
            }
            let _ = tell.send(());
        });
        Stream { bytes, ended }
    }

    fn ends_by(&self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        self.ended.recv_timeout(left).is_ok()
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A program that runs; it is killed when this is dropped.
pub struct Process {
    child: Child,
    line: String,
    begun: Instant,
    deadline: Duration,
    leads_group: bool,
    streams: [Option<Stream>; 2],
    keyboard: Option<File>,
}

impl Process {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it wrote to its standard output or terminal so far.
    pub fn output(&self) -> String {
        self.text(0)
    }

    /// Blocks until its output contains `text`.
    ///
    /// # Panics
    /// It does not within its deadline.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        assert!(
            within(self.deadline, || self.output().contains(text)),
            "{} did not show {text:?}, but:\n{}{}",
            self.line,
            self.text(0),
            self.text(1)
        );
    }

    /// Types `text` on its terminal.
    ///
    /// # Panics
    /// It has no terminal, or that is closed.
    #[track_caller]
    pub fn types(&mut self, text: &str) {
        let keyboard = self
            .keyboard
            .as_mut()
            .expect("it was started on a terminal");
        if let Err(error) = keyboard.write_all(text.as_bytes()) {
            panic!("cannot type for {}: {error}", self.line);
        }
    }

    /// Gives its terminal another size, as a window does that is dragged.
    ///
    /// # Panics
    /// It has no terminal.
    #[track_caller]
    pub fn resizes(&self, rows: u16, columns: u16) {
        let keyboard = self.keyboard.as_ref();
        let size = rustix::termios::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let keyboard = keyboard.expect("it was started on a terminal");
        rustix::termios::tcsetwinsize(keyboard, size).expect("a terminal takes a size");
    }

    /// Sends it a signal; one that has ended does not mind.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits until it has ended and nobody holds its output open any more.
    ///
    /// # Panics
    /// Its deadline passes; it is killed then.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        let end = self.begun + self.deadline;
        let ended = self.ends_by(end);
        let took = self.begun.elapsed();
        let closed = ended
            && self
                .streams
                .iter()
                .flatten()
                .all(|stream| stream.ends_by(end));
        if !closed {
            self.kill();
            let what = match ended {
                true => "has ended, but its output is still held open",
                false => "does not end",
            };
            panic!(
                "{} {what} after {:?}\nstdout: {}\nstderr: {}",
                self.line,
                self.deadline,
                self.text(0),
                self.text(1)
            );
        }
        let status = self.child.wait().expect("it has ended");
        Ran {
            line: self.line.clone(),
            status,
            stdout: self.text(0),
            stderr: self.text(1),
            took,
        }
    }

    fn ends_by(&mut self, end: Instant) -> bool {
        if self.has_ended() {
            return true;
        }
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).expect("a child has a pidfd");
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a deadline is short");
        let mut ends = [PollFd::new(&pidfd, PollFlags::IN)];
        matches!(poll(&mut ends, Some(&left)), Ok(1..))
    }

    fn kill(&mut self) {
        if self.leads_group {
            let _ = kill_process_group(self.pid(), Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn text(&self, stream: usize) -> String {
        self.streams[stream]
            .as_ref()
            .map(Stream::text)
            .unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What was called.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output, or to its terminal.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

impl Ran {
    /// Its exit status, `128 + n` for one killed by signal n: what a shell would say.
    pub fn code(&self) -> i32 {
        let signal = self.status.signal().map(|signal| 128 + signal);
        self.status.code().or(signal).unwrap_or(-1)
    }

    /// Hands it on if it ended with `code`.
    ///
    /// # Panics
    /// It ended otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert!(self.code() == code, "expected exit status {code}\n{self}");
        self
    }

    /// Hands it on if its standard output is `text`.
    ///
    /// # Panics
    /// It is not.
    #[track_caller]
    pub fn prints(self, text: &str) -> Ran {
        assert!(self.stdout == text, "expected on stdout: {text:?}\n{self}");
        self
    }

    /// Hands it on if its standard error contains `text`.
    ///
    /// # Panics
    /// It does not.
    #[track_caller]
    pub fn complains(self, text: &str) -> Ran {
        assert!(
            self.stderr.contains(text),
            "expected on stderr: {text:?}\n{self}"
        );
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran {
            line,
            status,
            stdout,
            stderr,
            took,
        } = self;
        write!(
            f,
            "{line}\n{status} after {took:?}\nstdout: {stdout}\nstderr: {stderr}"
        )
    }
}
