//! `lxc-door VERB NAME …`: one call of the library, for scenarios that go through its door.
//!
//! **Is** a table of verbs over [`lxc_runtime::Container`].
//! **Knows** the library as any program that uses it.
//! **Never** does what the library does not: a verb is one call, its answer printed.
//!
//! Exit status: 0 done, 1 refused (the error on standard error), 2 misused; `attach` ends as its
//! command does (128 + n for signal n).
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use lxc_runtime::{
    AttachOptions, Command, ConsoleLogRequest, Container, CreateOptions, Error, StartOptions, State,
};

/// One verb: its word, the words after the container's name, what it calls.
struct Verb {
    word: &'static str,
    rest: &'static str,
    call: fn(&mut Container, &[String]) -> Result<u8, Refusal>,
}

const VERBS: &[Verb] = &[
    Verb {
        word: "create",
        rest: "",
        call: |container, _| done(container.create(&CreateOptions::default())),
    },
    Verb {
        word: "start",
        rest: "[-- PROGRAM WORD…]",
        call: start,
    },
    Verb {
        word: "stop",
        rest: "[SECONDS]",
        call: stop,
    },
    Verb {
        word: "kill",
        rest: "",
        call: |container, _| done(container.stop()),
    },
    Verb {
        word: "reboot",
        rest: "SECONDS",
        call: |container, rest| {
            let rebooted = container.reboot(Some(seconds(rest)?))?;
            Ok(u8::from(!rebooted))
        },
    },
    Verb {
        word: "attach",
        rest: "-- PROGRAM WORD…",
        call: attach,
    },
    Verb {
        word: "state",
        rest: "",
        call: |container, _| {
            println!("{}", container.state()?);
            Ok(0)
        },
    },
    Verb {
        word: "wait",
        rest: "STATE[|STATE…] SECONDS",
        call: wait,
    },
    Verb {
        word: "ips",
        rest: "",
        call: |container, _| {
            container.ips()?.iter().for_each(|ip| println!("{ip}"));
            Ok(0)
        },
    },
    Verb {
        word: "get",
        rest: "KEY",
        call: |container, rest| {
            let value = container.config_item(word(rest, 0, "KEY")?)?;
            value.iter().for_each(|value| println!("{value}"));
            Ok(u8::from(value.is_none()))
        },
    },
    Verb {
        word: "freeze",
        rest: "",
        call: |container, _| done(container.freeze()),
    },
    Verb {
        word: "unfreeze",
        rest: "",
        call: |container, _| done(container.unfreeze()),
    },
    Verb {
        word: "cgroup",
        rest: "FILE [VALUE]",
        call: cgroup,
    },
    Verb {
        word: "console-log",
        rest: "",
        call: console_log,
    },
    Verb {
        word: "destroy",
        rest: "",
        call: |container, _| done(container.destroy()),
    },
];

/// Everything that the buffer has, as it is.
fn console_log(container: &mut Container, _rest: &[String]) -> Result<u8, Refusal> {
    let read = container.console_log(&ConsoleLogRequest {
        read: true,
        ..ConsoleLogRequest::default()
    })?;
    let written = std::io::stdout().write_all(&read);
    Ok(u8::from(written.is_err()))
}

/// Why a verb did not do what it should.
enum Refusal {
    /// The library's own words.
    Library(Error),
    /// Our caller's mistake.
    Misuse(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Library(error)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let verb = words
        .first()
        .and_then(|word| VERBS.iter().find(|verb| verb.word == word));
    let (Some(verb), Some(name)) = (verb, words.get(1)) else {
        eprintln!("usage:");
        for verb in VERBS {
            eprintln!("  lxc-door {} NAME {}", verb.word, verb.rest);
        }
        return ExitCode::from(2);
    };
    let called = Container::open(name, None)
        .map_err(Refusal::Library)
        .and_then(|mut container| (verb.call)(&mut container, &words[2..]));
    match called {
        Ok(status) => ExitCode::from(status),
        Err(Refusal::Library(error)) => {
            eprintln!("lxc-door: {error} [{:?}]", error.kind());
            ExitCode::FAILURE
        }
        Err(Refusal::Misuse(what)) => {
            eprintln!(
                "lxc-door {}: {what}; it takes: NAME {}",
                verb.word, verb.rest
            );
            ExitCode::from(2)
        }
    }
}

fn done(result: Result<(), Error>) -> Result<u8, Refusal> {
    Ok(result.map(|()| 0)?)
}

fn start(container: &mut Container, rest: &[String]) -> Result<u8, Refusal> {
    let argv = match rest.split_first() {
        None => Vec::new(),
        Some((dashes, program)) if dashes == "--" => program.to_vec(),
        Some((other, _)) => return Err(Refusal::Misuse(format!("what is {other:?}?"))),
    };
    container.start(&StartOptions {
        argv,
        ..StartOptions::default()
    })?;
    Ok(0)
}

/// A clean shutdown, and a kill when it has not ended in time, as lxc-stop does.
fn stop(container: &mut Container, rest: &[String]) -> Result<u8, Refusal> {
    let limit = match rest {
        [] => Duration::from_secs(60),
        rest => seconds(rest)?,
    };
    if !container.shutdown(Some(limit))? {
        container.stop()?;
    }
    Ok(0)
}

fn attach(container: &mut Container, rest: &[String]) -> Result<u8, Refusal> {
    let program = match rest.split_first() {
        Some((dashes, program)) if dashes == "--" && !program.is_empty() => program.to_vec(),
        _ => return Err(Refusal::Misuse("which program?".to_owned())),
    };
    let attached = container.attach(&AttachOptions {
        command: Command::Program(program),
        ..AttachOptions::default()
    })?;
    let failure = attached.exec_failure();
    let status = attached.wait()?;
    if let Some(failure) = failure {
        eprintln!("lxc-door: {failure}");
    }
    // As a shell says it: the low seven bits are a signal, else the next byte is the status.
    let code = match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    };
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn wait(container: &mut Container, rest: &[String]) -> Result<u8, Refusal> {
    let states = State::list(word(rest, 0, "STATE")?)
        .map_err(|unknown| Refusal::Misuse(unknown.to_string()))?;
    let reached = container.wait(&states, Some(seconds(&rest[1..])?))?;
    Ok(u8::from(!reached))
}

/// What a file says is printed as by lxc-cgroup: a newline comes behind its own.
fn cgroup(container: &mut Container, rest: &[String]) -> Result<u8, Refusal> {
    let file = word(rest, 0, "FILE")?;
    if let Some(value) = rest.get(1) {
        return done(container.set_cgroup_item(file, value));
    }
    let content = container.cgroup_item(file)?;
    content.iter().for_each(|content| println!("{content}"));
    Ok(u8::from(content.is_none()))
}

fn word<'a>(rest: &'a [String], at: usize, what: &str) -> Result<&'a str, Refusal> {
    rest.get(at)
        .map(String::as_str)
        .ok_or_else(|| Refusal::Misuse(format!("{what} is missing")))
}

fn seconds(rest: &[String]) -> Result<Duration, Refusal> {
    let text = word(rest, 0, "SECONDS")?;
    text.parse()
        .map(Duration::from_secs)
        .map_err(|_| Refusal::Misuse(format!("{text:?} is no number of seconds")))
}
