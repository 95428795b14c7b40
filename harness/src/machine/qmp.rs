//! QEMU's control socket: commands, their answers, and the end of a migration.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use serde_json::{Value, json};

use super::channel::{Channel, Timed, failure};
use super::deadline::Deadline;
use super::lost::Failure;

/// No line of QEMU's is longer; its greeting has 200 bytes.
const LONGEST: usize = 1 << 20;

/// Who is asked here.
const WHO: &str = "QEMU";

/// A client of QMP; one line of JSON each way.
#[derive(Debug)]
pub(super) struct Qmp {
    channel: Channel,
    /// What was received after the last whole line.
    rest: Vec<u8>,
    /// Events that came before the answer that was waited for.
    events: Vec<Value>,
}

/// For whom and how long a client waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience<'a> {
    /// When waiting ends.
    pub(super) deadline: Deadline,
    /// QEMU, whose end ends waiting.
    pub(super) pidfd: BorrowedFd<'a>,
}

impl Qmp {
    /// A client on a channel on which nothing was said yet.
    pub(super) fn new(channel: Channel) -> Qmp {
        Qmp {
            channel,
            rest: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes the snapshot that QEMU inherited as `number`; the machine runs when it has it.
    ///
    /// All is sent at once, the greeting unread: QEMU works it off in order.
    pub(super) fn restore(&mut self, number: i32, patience: Patience) -> Result<(), Failure> {
        let commands = [
            json!({"execute": "qmp_capabilities"}),
            capabilities(),
            json!({"execute": "migrate-incoming", "arguments": {"uri": format!("fd:{number}")}}),
        ];
        let text: String = commands.iter().map(line).collect();
        let asked = "the order to take a snapshot";
        self.send(text.as_bytes(), asked, patience)?;
        for _ in &commands {
            self.answer(asked, patience)?;
        }
        Ok(())
    }

    /// Stops the machine and writes the state of its devices, not its memory, to `file`.
    pub(super) fn save(&mut self, file: BorrowedFd, patience: Patience) -> Result<(), Failure> {
        let asked = "the order to write a snapshot";
        let commands = [
            json!({"execute": "qmp_capabilities"}),
            json!({"execute": "stop"}),
            capabilities(),
        ];
        let text: String = commands.iter().map(line).collect();
        self.send(text.as_bytes(), asked, patience)?;
        for _ in &commands {
            self.answer(asked, patience)?;
        }
        let hand_over = line(&json!({"execute": "getfd", "arguments": {"fdname": "state"}}));
        self.send_with(&hand_over, file, asked)?;
        self.answer(asked, patience)?;
        let migrate = line(&json!({"execute": "migrate", "arguments": {"uri": "fd:state"}}));
        self.send(migrate.as_bytes(), asked, patience)?;
        self.answer(asked, patience)?;
        self.migrated(asked, patience)
    }

    fn send(&self, bytes: &[u8], asked: &str, patience: Patience) -> Result<(), Failure> {
        let sent = self.stream(patience).write_all(bytes);
        sent.map_err(|error| failure(&error, WHO, asked, patience.deadline))
    }

    /// Sends a line and a descriptor with it. The socket's buffer is empty: QEMU has answered all
    /// that was asked before.
    fn send_with(&self, line: &str, file: BorrowedFd, asked: &str) -> Result<(), Failure> {
        let here = |why: String| Failure::Here(format!("cannot give QEMU {asked}: {why}"));
        match lxc_kernel::socket::send(self.channel.socket(), line.as_bytes(), &[file], false) {
            Ok(sent) if sent == line.len() => Ok(()),
            Ok(sent) => Err(here(format!("{sent} of {} bytes were taken", line.len()))),
            Err(error) if error.is(lxc_kernel::Errno::PIPE) => Err(Failure::Closed),
            Err(error) => Err(here(error.to_string())),
        }
    }

    /// Waits for the answer to one command; events in between are kept.
    fn answer(&mut self, asked: &str, patience: Patience) -> Result<(), Failure> {
        loop {
            let message = self.message(asked, patience)?;
            if let Some(error) = message.get("error") {
                let why = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("no reason");
                return Err(Failure::Said(format!("QEMU refused {asked}: {why}")));
            } else if message.get("event").is_some() {
                self.events.push(message);
            } else if message.get("return").is_some() {
                return Ok(());
            } else if message.get("QMP").is_none() {
                return Err(Failure::Said(format!(
                    "QEMU answered {asked} with {message}"
                )));
            }
        }
    }

    /// Waits for the event that says how the migration ended.
    fn migrated(&mut self, asked: &str, patience: Patience) -> Result<(), Failure> {
        let mut known = std::mem::take(&mut self.events).into_iter();
        loop {
            let message = match known.next() {
                Some(message) => message,
                None => self.message(asked, patience)?,
            };
            if message["event"] != "MIGRATION" {
                continue;
            }
            match message["data"]["status"].as_str() {
                Some("completed") => return Ok(()),
                Some(status @ ("failed" | "cancelled")) => {
                    return Err(Failure::Said(format!(
                        "QEMU could not follow {asked}: {status}"
                    )));
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, asked: &str, patience: Patience) -> Result<Value, Failure> {
        let failed = |error: io::Error| failure(&error, WHO, asked, patience.deadline);
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line)
                    .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            if self.rest.len() > LONGEST {
                let what = format!("QEMU answered {asked} with a line without end");
                return Err(Failure::Said(what));
            }
            let mut buffer = [0; 4096];
            let read = self.stream(patience).read(&mut buffer).map_err(failed)?;
            if read == 0 {
                return Err(Failure::Closed);
            }
            self.rest.extend_from_slice(&buffer[..read]);
        }
    }

    fn stream<'a>(&'a self, patience: Patience<'a>) -> Timed<'a> {
        self.channel.until(patience.deadline, patience.pidfd)
    }
}

/// Memory stays in its file, and the end of a migration is told.
fn capabilities() -> Value {
    let on = |name: &str| json!({"capability": name, "state": true});
    let list = [on("x-ignore-shared"), on("events")];
    json!({"execute": "migrate-set-capabilities", "arguments": {"capabilities": list}})
}

fn line(command: &Value) -> String {
    format!("{command}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::thread::JoinHandle;
    use std::time::Duration;

    /// A client, and a peer that says `script` at once and gives back what it was told.
    fn with_peer(script: &'static str) -> (Qmp, JoinHandle<String>) {
        let (channel, theirs) = Channel::pair().unwrap();
        let peer = std::thread::spawn(move || {
            let mut socket = UnixStream::from(theirs);
            socket.write_all(script.as_bytes()).unwrap();
            let mut told = Vec::new();
            let _ = socket.read_to_end(&mut told);
            String::from_utf8(told).unwrap()
        });
        (Qmp::new(channel), peer)
    }

    fn try_save(script: &'static str) -> (Result<(), Failure>, String) {
        let (mut qmp, peer) = with_peer(script);
        let (alive, _other) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let patience = Patience {
            deadline: Deadline::after(Duration::from_millis(300)),
            pidfd: alive.as_fd(),
        };
        let result = qmp.save(file.as_fd(), patience);
        drop(qmp);
        (result, peer.join().unwrap())
    }

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
    const FOUR: &str = "{\"return\": {}}\r\n{\"event\": \"STOP\"}\r\n{\"return\": {}}\r\n\
                        {\"return\": {}}\r\n{\"return\": {}}\r\n";

    fn after_four(rest: &str) -> &'static str {
        Box::leak(format!("{GREETING}{FOUR}{rest}").into_boxed_str())
    }

    #[test]
    fn saving_goes_step_by_step_and_waits_for_the_end() {
        let script = after_four(
            "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"setup\"}}\n{\"return\":{}}\n\
             {\"event\":\"MIGRATION\",\"data\":{\"status\":\"active\"}}\n\
             {\"event\":\"MIGRATION\",\"data\":{\"status\":\"completed\"}}\n",
        );
        let (result, told) = try_save(script);
        assert_eq!(result, Ok(()));
        let told: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let names: Vec<_> = told
            .iter()
            .map(|command| command["execute"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "qmp_capabilities",
                "stop",
                "migrate-set-capabilities",
                "getfd",
                "migrate"
            ]
        );
    }

    #[test]
    fn whatever_else_qemu_says_is_a_failure_with_a_sentence() {
        let refused = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\n";
        let failed =
            "{\"return\":{}}\n{\"event\":\"MIGRATION\",\"data\":{\"status\":\"failed\"}}\n";
        for (script, part) in [
            (
                after_four(refused),
                "QEMU refused the order to write a snapshot: no such thing",
            ),
            (
                after_four(failed),
                "QEMU could not follow the order to write a snapshot: failed",
            ),
            (
                "hello\n",
                "QEMU said something that is no answer to the order to write a snapshot",
            ),
            (
                "{\"what\": 1}\n",
                "QEMU answered the order to write a snapshot with {\"what\":1}",
            ),
            (
                "[1]\n",
                "QEMU answered the order to write a snapshot with [1]",
            ),
        ] {
            match try_save(script).0 {
                Err(Failure::Said(why)) => assert!(why.contains(part), "{why}"),
                other => panic!("{script}: {other:?}"),
            }
        }
        // Silence, and an answer cut short, end with the deadline.
        for script in ["", GREETING, "{\"return\":", after_four("")] {
            assert!(
                matches!(try_save(script).0, Err(Failure::Silent { .. })),
                "{script}"
            );
        }
    }

    #[test]
    fn a_closed_socket_is_told_from_silence() {
        let (channel, theirs) = Channel::pair().unwrap();
        drop(theirs);
        let (alive, _other) = UnixStream::pair().unwrap();
        let patience = Patience {
            deadline: Deadline::after(Duration::from_secs(20)),
            pidfd: alive.as_fd(),
        };
        assert_eq!(Qmp::new(channel).restore(7, patience), Err(Failure::Closed));
    }
}
