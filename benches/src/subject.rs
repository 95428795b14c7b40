//! Who is measured: our tools, C LXC's, crun, or any other directory of lxc-* tools.

use std::path::{Path, PathBuf};

use crate::Failure;
use crate::command;
use crate::scratch::Scratch;

/// Where Debian puts C LXC's tools.
const C_LXC: &str = "/usr/bin";

/// What a subject is told to do.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    /// Make the container from a first configuration.
    Create(&'a Path),
    Start,
    /// Run a program inside that does nothing.
    Attach,
    /// Say in which state it is.
    Query,
    /// Kill it.
    Stop,
    Destroy,
}

/// Somebody's way to run the measured container.
pub struct Subject {
    pub name: String,
    tools: Tools,
    container: String,
    directory: PathBuf,
}

enum Tools {
    Lxc { bin: PathBuf, lxcpath: PathBuf },
    Crun { bundle: PathBuf },
}

impl Subject {
    /// The installation that `cargo xtask bench` has made.
    pub fn ours(scratch: &Scratch) -> Result<Subject, Failure> {
        let prefix = std::env::var_os("LXC_TEST_PREFIX").ok_or(
            "COULD NOT RUN: LXC_TEST_PREFIX names no installation; use: cargo xtask bench",
        )?;
        Subject::lxc("ours", &Path::new(&prefix).join("bin"), scratch)
    }

    fn lxc(name: &str, bin: &Path, scratch: &Scratch) -> Result<Subject, Failure> {
        let start = bin.join("lxc-start");
        if !start.is_file() {
            return Err(format!("{name}: there is no {}", start.display()));
        }
        let tools = Tools::Lxc {
            bin: bin.to_owned(),
            lxcpath: scratch.lxcpath(),
        };
        Ok(Subject::new(name, tools, scratch))
    }

    fn c_lxc(scratch: &Scratch) -> Result<Subject, Failure> {
        let subject = Subject::lxc("C LXC", Path::new(C_LXC), scratch)?;
        let words = [format!("{C_LXC}/lxc-start"), "--version".to_owned()];
        command::timed(&words, scratch.path())?;
        let name = format!("C LXC {}", command::said(scratch.path(), "stdout"));
        Ok(Subject { name, ..subject })
    }

    fn crun(scratch: &Scratch) -> Result<Subject, Failure> {
        let words = ["crun".to_owned(), "--version".to_owned()];
        command::timed(&words, scratch.path())?;
        let version = command::said(scratch.path(), "stdout");
        // "crun version 1.8.1"
        let version = version
            .lines()
            .next()
            .unwrap_or_default()
            .replace(" version", "");
        let tools = Tools::Crun {
            bundle: scratch.write_bundle()?,
        };
        Ok(Subject::new(&version, tools, scratch))
    }

    fn new(name: &str, tools: Tools, scratch: &Scratch) -> Subject {
        let subject = Subject {
            name: name.to_owned(),
            tools,
            container: scratch.name.clone(),
            directory: scratch.path().to_owned(),
        };
        scratch.may_leave_running(subject.command(Act::Stop));
        subject
    }

    /// The command line of an act.
    pub fn command(&self, act: Act<'_>) -> Vec<String> {
        let name = self.container.as_str();
        match &self.tools {
            Tools::Lxc { bin, lxcpath } => {
                let (tool, more) = match act {
                    Act::Create(config) => (
                        "lxc-create",
                        vec![
                            "-f".to_owned(),
                            shown(config),
                            "-t".to_owned(),
                            "busybox".to_owned(),
                        ],
                    ),
                    Act::Start => ("lxc-start", vec![]),
                    Act::Attach => ("lxc-attach", vec!["--".to_owned(), "/bin/true".to_owned()]),
                    Act::Query => ("lxc-info", vec!["-s".to_owned()]),
                    Act::Stop => ("lxc-stop", vec!["-k".to_owned()]),
                    Act::Destroy => ("lxc-destroy", vec![]),
                };
                let mut words = vec![shown(&bin.join(tool)), "-n".to_owned(), name.to_owned()];
                words.extend(["-P".to_owned(), shown(lxcpath)]);
                words.extend(more);
                words
            }
            Tools::Crun { bundle } => {
                let bundle = shown(bundle);
                let words: &[&str] = match act {
                    Act::Start => &["run", "--detach", "--bundle", &bundle, name],
                    Act::Attach => &["exec", name, "/bin/true"],
                    Act::Query => &["state", name],
                    Act::Stop | Act::Destroy => &["delete", "--force", name],
                    // The bundle is written, not created by a command.
                    Act::Create(_) => &["--version"],
                };
                std::iter::once(&"crun")
                    .chain(words)
                    .map(|word| (*word).to_owned())
                    .collect()
            }
        }
    }

    /// Acts; gives the milliseconds it took.
    pub fn act(&self, act: Act<'_>) -> Result<f64, Failure> {
        let took = command::timed(&self.command(act), &self.directory)
            .map_err(|failure| format!("{}: {failure}", self.name))?;
        Ok(took.as_secs_f64() * 1000.0)
    }

    /// Asks for the state and insists that it is running. Milliseconds of the asking.
    pub fn query_running(&self) -> Result<f64, Failure> {
        let took = self.act(Act::Query)?;
        let answer = command::said(&self.directory, "stdout");
        match answer.to_lowercase().contains("running") {
            true => Ok(took),
            false => Err(format!(
                "{}: the container should run, but: {answer}",
                self.name
            )),
        }
    }

    /// Its containers have a monitor.
    pub fn has_monitor(&self) -> bool {
        matches!(self.tools, Tools::Lxc { .. })
    }
}

/// All others that can be found; each that cannot is a sentence.
pub fn peers(
    against: &[PathBuf],
    scratch: &Scratch,
) -> Result<Vec<Result<Subject, Failure>>, Failure> {
    let mut peers = vec![Subject::c_lxc(scratch), Subject::crun(scratch)];
    for bin in against {
        // Asked for by name: to go on without it would be an answer to another question.
        peers.push(Ok(Subject::lxc(&shown(bin), bin, scratch)?));
    }
    Ok(peers)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
