//! What a step does, and the words it becomes at each door.

use std::fmt;

use super::{Door, State};

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Shell words, in the machine.
    Run(String),
    /// Makes a container without a rootfs.
    Create(String),
    /// Starts it in the background.
    Start(String),
    /// Runs a program inside.
    Attach {
        /// The container.
        name: String,
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// Waits until it is in one of these states.
    Wait {
        /// The container.
        name: String,
        /// The states.
        until: Vec<State>,
        /// Seconds.
        timeout: u32,
    },
    /// Asks it to shut down, and kills it when it has not after so many seconds.
    Stop {
        /// The container.
        name: String,
        /// Seconds; without: as long as LXC waits by itself.
        timeout: Option<u32>,
    },
    /// Asks it to reboot, and waits until it runs again.
    Reboot {
        /// The container.
        name: String,
        /// Seconds.
        timeout: u32,
    },
    /// Kills it.
    Kill(String),
    /// Stops everything that runs inside.
    Freeze(String),
    /// Lets it go on.
    Unfreeze(String),
    /// Reads a file of its cgroup, or writes one.
    Cgroup {
        /// The container.
        name: String,
        /// The file, like `memory.max`.
        file: String,
        /// What is written; without: it is read.
        value: Option<String>,
    },
    /// Removes it.
    Destroy(String),
}

impl Act {
    /// The words that are run at this door: the one table of verbs.
    pub fn argv(&self, door: Door) -> Vec<String> {
        let tools = door == Door::Tools;
        let verb = |tool, verb, name: &str, more: &[&str]| {
            let head: &[&str] = match program(door) {
                None => &[tool, "-n", name],
                Some(program) => &[program, verb, name],
            };
            let words = head.iter().chain(more);
            words.map(|word| (*word).to_owned()).collect()
        };
        match self {
            Act::Run(script) => ["sh", "-c", script].map(String::from).into(),
            Act::Create(name) if tools => verb("lxc-create", "", name, &["-t", "none"]),
            Act::Create(name) => verb("", "create", name, &[]),
            Act::Start(name) => verb("lxc-start", "start", name, &[]),
            Act::Attach { name, command } => {
                let mut words: Vec<String> = verb("lxc-attach", "attach", name, &["--"]);
                words.extend(command.iter().cloned());
                words
            }
            Act::Wait {
                name,
                until,
                timeout,
            } => {
                let (states, timeout) = (joined(until), timeout.to_string());
                match tools {
                    true => verb("lxc-wait", "", name, &["-s", &states, "-t", &timeout]),
                    false => verb("", "wait", name, &[&states, &timeout]),
                }
            }
            Act::Stop { name, timeout } => match timeout.map(|seconds| seconds.to_string()) {
                None => verb("lxc-stop", "stop", name, &[]),
                Some(seconds) if tools => verb("lxc-stop", "", name, &["-t", &seconds]),
                Some(seconds) => verb("", "stop", name, &[&seconds]),
            },
            Act::Reboot { name, timeout } => match (tools, timeout.to_string()) {
                (true, seconds) => verb("lxc-stop", "", name, &["-r", "-t", &seconds]),
                (false, seconds) => verb("", "reboot", name, &[&seconds]),
            },
            Act::Kill(name) if tools => verb("lxc-stop", "", name, &["-k"]),
            Act::Kill(name) => verb("", "kill", name, &[]),
            Act::Freeze(name) => verb("lxc-freeze", "freeze", name, &[]),
            Act::Unfreeze(name) => verb("lxc-unfreeze", "unfreeze", name, &[]),
            Act::Cgroup { name, file, value } => {
                // No value is an option to a tool: -1 is a limit.
                let dashes: &[&str] = if tools { &["--"] } else { &[] };
                let words = [dashes, &[file]].concat();
                let mut words: Vec<String> = verb("lxc-cgroup", "cgroup", name, &words);
                words.extend(value.clone());
                words
            }
            Act::Destroy(name) => verb("lxc-destroy", "destroy", name, &[]),
        }
    }

    /// Can it be done with no `lxc-*` program but the one that is the door? If not: which one it names.
    pub(super) fn tool(&self, door: Door) -> Option<&str> {
        let Act::Run(script) = self else {
            return None;
        };
        let within_a_word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        script
            .split(|c| !within_a_word(c))
            .map(|word| (word, word.rsplit('/').next().unwrap_or(word)))
            .find(|(_, file)| file.starts_with("lxc-") && program(door) != Some(file))
            .map(|(word, _)| word)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Act::Run(script) => match script.trim().split_once('\n') {
                None => write!(formatter, "{}", script.trim()),
                Some((first, _)) => write!(formatter, "{first} …"),
            },
            Act::Create(name) => write!(formatter, "create {name}"),
            Act::Start(name) => write!(formatter, "start {name}"),
            Act::Attach { name, command } => write!(formatter, "attach {name}: {command:?}"),
            Act::Wait { name, until, .. } => write!(formatter, "wait {name}: {}", joined(until)),
            Act::Stop { name, .. } => write!(formatter, "stop {name}"),
            Act::Reboot { name, .. } => write!(formatter, "reboot {name}"),
            Act::Kill(name) => write!(formatter, "kill {name}"),
            Act::Freeze(name) => write!(formatter, "freeze {name}"),
            Act::Unfreeze(name) => write!(formatter, "unfreeze {name}"),
            Act::Cgroup { name, file, value } => match value {
                None => write!(formatter, "cgroup {name}: {file}"),
                Some(value) => write!(formatter, "cgroup {name}: {file} = {value}"),
            },
            Act::Destroy(name) => write!(formatter, "destroy {name}"),
        }
    }
}

/// The words that print the state of `name` at this door, alone on its line.
pub fn state_question(door: Door, name: &str) -> Vec<String> {
    let words: &[&str] = match program(door) {
        None => &["lxc-info", "-n", name, "-s", "-H"],
        Some(program) => &[program, "state", name],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The program whose first word is a verb; `None` where each verb has a program of its own.
fn program(door: Door) -> Option<&'static str> {
    match door {
        Door::Tools => None,
        Door::Library => Some("lxc-door"),
        Door::C => Some("lxc-c-door"),
    }
}

fn joined(states: &[State]) -> String {
    let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
    names.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_words_at_every_door() {
        let name = || "demo".to_owned();
        let rows = [
            (
                Act::Create(name()),
                "lxc-create -n demo -t none",
                "lxc-door create demo",
            ),
            (
                Act::Start(name()),
                "lxc-start -n demo",
                "lxc-door start demo",
            ),
            (
                Act::Attach {
                    name: name(),
                    command: vec!["id".into(), "-u".into()],
                },
                "lxc-attach -n demo -- id -u",
                "lxc-door attach demo -- id -u",
            ),
            (
                Act::Wait {
                    name: name(),
                    until: vec![State::Stopped, State::Running],
                    timeout: 7,
                },
                "lxc-wait -n demo -s STOPPED|RUNNING -t 7",
                "lxc-door wait demo STOPPED|RUNNING 7",
            ),
            (
                Act::Stop {
                    name: name(),
                    timeout: None,
                },
                "lxc-stop -n demo",
                "lxc-door stop demo",
            ),
            (
                Act::Stop {
                    name: name(),
                    timeout: Some(3),
                },
                "lxc-stop -n demo -t 3",
                "lxc-door stop demo 3",
            ),
            (
                Act::Reboot {
                    name: name(),
                    timeout: 4,
                },
                "lxc-stop -n demo -r -t 4",
                "lxc-door reboot demo 4",
            ),
            (
                Act::Kill(name()),
                "lxc-stop -n demo -k",
                "lxc-door kill demo",
            ),
            (
                Act::Freeze(name()),
                "lxc-freeze -n demo",
                "lxc-door freeze demo",
            ),
            (
                Act::Unfreeze(name()),
                "lxc-unfreeze -n demo",
                "lxc-door unfreeze demo",
            ),
            (
                Act::Cgroup {
                    name: name(),
                    file: "pids.max".into(),
                    value: None,
                },
                "lxc-cgroup -n demo -- pids.max",
                "lxc-door cgroup demo pids.max",
            ),
            (
                Act::Cgroup {
                    name: name(),
                    file: "memory.limit_in_bytes".into(),
                    value: Some("-1".into()),
                },
                "lxc-cgroup -n demo -- memory.limit_in_bytes -1",
                "lxc-door cgroup demo memory.limit_in_bytes -1",
            ),
            (
                Act::Destroy(name()),
                "lxc-destroy -n demo",
                "lxc-door destroy demo",
            ),
        ];
        for (act, tools, library) in rows {
            assert_eq!(act.argv(Door::Tools).join(" "), tools);
            assert_eq!(act.argv(Door::Library).join(" "), library);
            let c = library.replacen("lxc-door", "lxc-c-door", 1);
            assert_eq!(act.argv(Door::C).join(" "), c);
            assert_eq!(act.tool(Door::C), None);
        }
    }

    #[test]
    fn a_script_that_names_a_tool_is_found_out() {
        for (script, tool) in [
            ("x=$(lxc-info -n demo)", Some("lxc-info")),
            ("true;/usr/bin/lxc-ls", Some("/usr/bin/lxc-ls")),
            ("cat /var/lib/lxc/demo/out", None),
            ("echo my-lxc-thing", None),
            ("lxc-c-door state demo", None),
            (
                "lxc-c-door state demo; lxc-door state demo",
                Some("lxc-door"),
            ),
        ] {
            assert_eq!(Act::Run(script.into()).tool(Door::C), tool, "{script}");
        }
    }
}
