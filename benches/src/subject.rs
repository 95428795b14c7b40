//! Who is measured: our tools, `bare`, C LXC's, crun, or any other directory of lxc-* tools.

use std::path::{Path, PathBuf};

use crate::Failure;
use crate::bundle;
use crate::command;
use crate::layout::Layout;
use crate::scratch::Scratch;

/// Names the installation that is measured.
const PREFIX: &str = "LXC_TEST_PREFIX";
/// Names the program `bare`, linked like the tools.
const BARE: &str = "LXC_BENCH_BARE";
/// Where Debian puts C LXC's tools.
const C_LXC: &str = "/usr/bin";

/// What a subject is told to do.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    /// Make the container from a first configuration.
    Create(&'a Path),
    /// Start it.
    Start,
    /// Run a program inside that does nothing.
    Attach,
    /// Run a program inside that writes 4 MiB to the console.
    Console,
    /// Say in which state it is.
    Query,
    /// Kill it.
    Stop,
    /// Remove it.
    Destroy,
}

/// Somebody's way to run the measured container.
#[derive(Debug)]
pub struct Subject {
    /// As tables name it, with its version.
    pub name: String,
    tools: Tools,
    container: String,
    directory: PathBuf,
}

#[derive(Debug)]
enum Tools {
    Lxc {
        bin: PathBuf,
        lxcpath: PathBuf,
    },
    Crun {
        bundle: PathBuf,
    },
    Bare {
        program: PathBuf,
        orders: Vec<String>,
    },
}

/// The installation that is measured.
pub(crate) fn prefix() -> Result<PathBuf, Failure> {
    std::env::var_os(PREFIX)
        .map(PathBuf::from)
        .ok_or_else(|| format!("{PREFIX} names no installation; use: cargo xtask bench"))
}

/// Why there is nothing to be measured at all; one sentence with its remedy.
pub fn missing() -> Option<Failure> {
    let reason = match std::env::var_os(PREFIX) {
        _ if !rustix::process::geteuid().is_root() => "containers are started as root",
        None => "no installation is named",
        Some(_) => return None,
    };
    Some(format!("{reason}; use: cargo xtask bench"))
}

impl Subject {
    /// The installation that `cargo xtask bench` has made.
    pub fn ours(scratch: &Scratch) -> Result<Subject, Failure> {
        Subject::lxc("ours", &prefix()?.join("bin"), scratch)
    }

    /// The floor, in a layout that has been entered.
    pub fn bare(program: &Path, scratch: &Scratch, layout: &Layout) -> Result<Subject, Failure> {
        let cgroups = layout.cgroups()?;
        let word = |key: &str, value: &Path| format!("{key}={}", value.display());
        let mut orders = vec![
            format!("name={}", scratch.name),
            word("rootfs", &scratch.rootfs()),
            word("state", &scratch.path().join("bare.pids")),
            "init=/sbin/init".to_owned(),
        ];
        let security = Path::new("/sys/kernel/security");
        let bound = bundle::bound().map(Path::new);
        let bound = bound.chain(security.is_dir().then_some(security));
        orders.extend(bound.map(|path| word("bind", path)));
        orders.extend(cgroups.legacy.iter().map(|path| word("legacy", path)));
        orders.extend(cgroups.unified.iter().map(|path| word("unified", path)));
        let tools = Tools::Bare {
            program: program.to_owned(),
            orders,
        };
        Ok(Subject::new("bare", tools, scratch))
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

    /// The command line of an act; empty where there is nothing to do.
    pub fn command(&self, act: Act<'_>) -> Vec<String> {
        match &self.tools {
            Tools::Lxc { bin, lxcpath } => lxc_command(bin, lxcpath, &self.container, act),
            Tools::Crun { bundle } => crun_command(bundle, &self.container, act),
            Tools::Bare { program, orders } => bare_command(program, orders, act),
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

    /// Starts the container, does something while it runs, and stops it, whether that went well or not.
    pub(crate) fn running<T>(
        &self,
        act: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.act(Act::Start)?;
        match (act(), self.act(Act::Stop)) {
            (done, Ok(_)) => done,
            (Ok(_), Err(failure)) => Err(failure),
            (Err(failure), Err(and)) => Err(format!("{failure}; and then {and}")),
        }
    }

    /// Its containers have a monitor that can be weighed, and that serves their console.
    pub fn has_monitor(&self) -> bool {
        matches!(self.tools, Tools::Lxc { .. })
    }

    /// It is the system's LXC in C.
    pub fn is_c_lxc(&self) -> bool {
        matches!(&self.tools, Tools::Lxc { bin, .. } if bin == Path::new(C_LXC))
    }

    /// It only shows what start and attach cost the kernel.
    pub fn is_floor(&self) -> bool {
        matches!(self.tools, Tools::Bare { .. })
    }

    /// Where its commands' streams go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn lxc_command(bin: &Path, lxcpath: &Path, name: &str, act: Act<'_>) -> Vec<String> {
    let config;
    let (tool, more): (&str, &[&str]) = match act {
        Act::Create(first) => {
            config = shown(first);
            ("lxc-create", &["-f", &config, "-t", "busybox"])
        }
        Act::Start => ("lxc-start", &[]),
        Act::Attach => ("lxc-attach", &["--", "/bin/true"]),
        Act::Console => (
            "lxc-attach",
            &[
                "--",
                "dd",
                "if=/dev/zero",
                "of=/dev/console",
                "bs=4k",
                "count=1k",
            ],
        ),
        Act::Query => ("lxc-info", &["-s"]),
        Act::Stop => ("lxc-stop", &["-k"]),
        Act::Destroy => ("lxc-destroy", &[]),
    };
    let (tool, lxcpath) = (shown(&bin.join(tool)), shown(lxcpath));
    let words = [&tool, "-n", name, "-P", &lxcpath];
    owned(words.iter().chain(more))
}

fn crun_command(bundle: &Path, name: &str, act: Act<'_>) -> Vec<String> {
    let bundle = shown(bundle);
    let words: &[&str] = match act {
        Act::Start => &["crun", "run", "--detach", "--bundle", &bundle, name],
        Act::Attach => &["crun", "exec", name, "/bin/true"],
        Act::Query => &["crun", "state", name],
        Act::Stop | Act::Destroy => &["crun", "delete", "--force", name],
        // The bundle is written, not created by a command; and nobody serves its console.
        Act::Create(_) | Act::Console => &[],
    };
    owned(words.iter())
}

fn bare_command(program: &Path, orders: &[String], act: Act<'_>) -> Vec<String> {
    let word = match act {
        Act::Start => "start",
        Act::Attach => "attach",
        Act::Stop => "stop",
        Act::Create(_) | Act::Console | Act::Query | Act::Destroy => return Vec::new(),
    };
    let mut words = vec![shown(program), word.to_owned()];
    words.extend_from_slice(orders);
    words
}

/// All others that can be found here; each that cannot is a sentence.
pub fn peers(
    against: &[PathBuf],
    scratch: &Scratch,
    layout: &Layout,
) -> Result<Vec<Result<Subject, Failure>>, Failure> {
    let bare = match std::env::var_os(BARE) {
        Some(program) => Subject::bare(Path::new(&program), scratch, layout),
        None => Err(format!("bare: {BARE} names no program")),
    };
    let mut peers = vec![bare, Subject::c_lxc(scratch), Subject::crun(scratch)];
    for bin in against {
        // Asked for by name: to go on without it would be an answer to another question.
        peers.push(Ok(Subject::lxc(&shown(bin), bin, scratch)?));
    }
    Ok(peers)
}

fn owned<'a>(words: impl Iterator<Item = &'a &'a str>) -> Vec<String> {
    words.map(|word| (*word).to_owned()).collect()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
