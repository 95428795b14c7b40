//! Packages, fetched by apt with a state of its own: the machine's lists stay as they are.
//!
//! apt knows mirrors, proxies and signatures; whether the bytes are the locked ones is checked here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::list::Locked;
use super::{Unavailable, digest, mirror};

/// Debian's keys, for all its suites; the machine's own trust is not enough for older ones.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Seconds that a run of apt may take; the largest thing that one fetches has 50 MB.
const DEADLINE: u32 = 600;

/// The machine's configuration of apt counts (proxies, credentials), but not what it does after an
/// update: that is meant for the machine's own lists.
const CONFIG: &str = "#clear APT::Update::Pre-Invoke;\n\
    #clear APT::Update::Post-Invoke;\n\
    #clear APT::Update::Post-Invoke-Success;\n\
    #clear DPkg::Pre-Invoke;\n\
    #clear DPkg::Post-Invoke;\n";

/// apt's programs and what they read of this machine.
pub(super) struct Apt {
    pub(super) get: PathBuf,
    pub(super) cache: PathBuf,
    /// apt's directory of sources.
    pub(super) etc: PathBuf,
    pub(super) os_release: PathBuf,
    /// Seconds after which a run is killed.
    pub(super) deadline: u32,
}

impl Apt {
    /// As installed.
    pub(super) fn of_this_machine() -> Apt {
        Apt {
            get: PathBuf::from("apt-get"),
            cache: PathBuf::from("apt-cache"),
            etc: PathBuf::from("/etc/apt"),
            os_release: PathBuf::from("/etc/os-release"),
            deadline: DEADLINE,
        }
    }
}

/// apt's state for one suite, in a directory that is thrown away afterwards.
pub(super) struct State<'a> {
    apt: &'a Apt,
    dir: PathBuf,
}

/// How a run of apt failed.
pub(super) enum Failure {
    /// The mirror has no such version (any more).
    Gone,
    /// Everything else, in apt's words.
    Said(String),
}

impl<'a> State<'a> {
    /// Lists of `suite`, fetched into the new directory `dir`.
    pub(super) fn fetch(apt: &'a Apt, suite: &str, dir: PathBuf) -> Result<State<'a>, String> {
        let codename = mirror::codename(&apt.os_release);
        let uri = mirror::of_suite(suite, &apt.etc, &codename)?;
        let source =
            format!("deb [arch=amd64 signed-by={KEYRING} target=Packages] {uri} {suite} main\n");
        let wrong = |error: io::Error| format!("{}: {error}", dir.display());
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(sub)).map_err(wrong)?;
        }
        for (name, text) in [
            ("sources.list", source.as_str()),
            ("status", ""),
            ("conf", CONFIG),
        ] {
            fs::write(dir.join(name), text).map_err(wrong)?;
        }
        let state = State { apt, dir };
        match state.run(&apt.get, &["update"]) {
            Ok(_) => Ok(state),
            Err(Failure::Gone) => Err(format!("the mirror has no suite {suite}")),
            Err(Failure::Said(what)) => Err(what),
        }
    }

    /// All packages of the suite, as apt describes them.
    pub(super) fn available(&self) -> Result<String, String> {
        match self.run(&self.apt.cache, &["dumpavail"]) {
            Ok(text) => Ok(text),
            Err(Failure::Gone) => Err("apt-cache dumpavail found nothing".to_string()),
            Err(Failure::Said(what)) => Err(what),
        }
    }

    /// Fetches a package; it is in the state's directory until it is moved.
    fn download(&self, locked: &Locked) -> Result<PathBuf, Failure> {
        let into = self.dir.join("fetched");
        let wrong = |error: io::Error| Failure::Said(format!("{}: {error}", into.display()));
        // What an earlier attempt left would be taken for the package.
        match fs::remove_dir_all(&into) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
            _ => fs::create_dir(&into).map_err(wrong)?,
        }
        let wanted = format!("{}={}", locked.package, locked.version);
        self.run_in(&into, &self.apt.get, &["download", &wanted])?;
        let mut files = fs::read_dir(&into)
            .map_err(wrong)?
            .flatten()
            .map(|entry| entry.path());
        let deb = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
        deb.ok_or_else(|| Failure::Said("apt-get download wrote no package".to_string()))
    }

    fn run(&self, program: &Path, words: &[&str]) -> Result<String, Failure> {
        self.run_in(&self.dir, program, words)
    }

    /// Runs one of apt's programs, which dies with us and has a deadline.
    fn run_in(&self, cwd: &Path, program: &Path, words: &[&str]) -> Result<String, Failure> {
        let deadline = self.apt.deadline;
        let at = |name: &str| self.dir.join(name).display().to_string();
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "TERM",
            "timeout",
            "--kill-after=5",
            &deadline.to_string(),
        ]);
        command.arg(program).arg("-qq").arg("-c").arg(at("conf"));
        for (name, value) in [
            ("Dir::Etc::sourcelist", at("sources.list").as_str()),
            ("Dir::Etc::sourceparts", "/dev/null"),
            ("Dir::Etc::preferences", "/dev/null"),
            ("Dir::Etc::preferencesparts", "/dev/null"),
            ("Dir::State", &at("")),
            ("Dir::State::lists", &at("lists")),
            ("Dir::State::status", &at("status")),
            ("Dir::Cache", &at("cache")),
            ("APT::Architecture", "amd64"),
            // apt gives up root to fetch, and could then not write where we keep things.
            ("APT::Sandbox::User", ""),
            ("APT::Update::Error-Mode", "any"),
            ("APT::Color", "0"),
            ("Acquire::Languages", "none"),
            // What is fetched is known by its digest, however old the list that names it.
            ("Acquire::Check-Valid-Until", "false"),
            ("Acquire::Retries", "1"),
            ("Acquire::http::Timeout", "30"),
        ] {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        let ran = command
            .args(words)
            .current_dir(cwd)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output();
        let ran =
            ran.map_err(|error| Failure::Said(format!("setpriv cannot be started: {error}")))?;
        if ran.status.success() {
            return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
        }
        // timeout's own status for "too long", and the one that a shell gives a killed program.
        if matches!(ran.status.code(), Some(124 | 137)) {
            let name = program.display();
            return Err(Failure::Said(format!(
                "{name} was not done after {deadline} seconds"
            )));
        }
        Err(failure(
            program,
            words,
            &String::from_utf8_lossy(&ran.stderr),
        ))
    }
}

/// What apt's complaints mean.
fn failure(program: &Path, words: &[&str], stderr: &str) -> Failure {
    let gone = [
        "was not found",
        "Unable to locate package",
        "has no installation candidate",
        "404  Not Found",
    ];
    if gone.iter().any(|words| stderr.contains(words)) {
        return Failure::Gone;
    }
    let first = stderr.lines().find_map(|line| line.strip_prefix("E: "));
    let first = first.or(stderr.lines().next()).unwrap_or("nothing").trim();
    let verb = words.first().copied().unwrap_or_default();
    Failure::Said(format!("{} {verb} says “{first}”", program.display()))
}

/// What is to be fetched.
pub(super) struct Order<'a> {
    /// What it is for: `the kernel 6.1`.
    pub(super) of: &'a str,
    /// Where it is published.
    pub(super) suite: &'a str,
    pub(super) packages: &'a [Locked],
}

/// The packages of an order in `debs`, fetched where they are missing or damaged.
///
/// Each is whole and checked when it gets its name there.
pub(super) fn packages(
    apt: &Apt,
    order: &Order,
    debs: &Path,
    tmp: &Path,
    progress: &dyn Fn(&str),
) -> Result<Vec<PathBuf>, Unavailable> {
    let mut state = None;
    let mut paths = Vec::new();
    for locked in order.packages {
        let path = debs.join(file_name(locked));
        if !is_here(locked, &path, progress)? {
            progress(&format!(
                "fetching {locked} ({:.1} MB)",
                locked.bytes as f64 / 1e6
            ));
            if state.is_none() {
                let fetched = State::fetch(apt, order.suite, tmp.join("apt"));
                state = Some(fetched.map_err(|what| not_fetched(order, locked, debs, &what))?);
            }
            if let Some(state) = &state {
                fetch_one(state, order, locked, &path, progress)?;
            }
        }
        paths.push(path);
    }
    Ok(paths)
}

/// As apt names it, but without the `%3a` that stands for a colon.
fn file_name(locked: &Locked) -> String {
    let Locked {
        package, version, ..
    } = locked;
    format!("{package}_{}_amd64.deb", version.replace(':', "%3a"))
}

/// Tells whether the locked package is there; what is there and is not it, is deleted.
fn is_here(locked: &Locked, path: &Path, progress: &dyn Fn(&str)) -> Result<bool, Unavailable> {
    if !path.exists() {
        return Ok(false);
    }
    match check(locked, path) {
        Ok(()) => Ok(true),
        Err(what) => {
            progress(&format!("{what}: deleted, to be fetched again"));
            fs::remove_file(path).map_err(|error| super::unusable(path, &error))?;
            Ok(false)
        }
    }
}

/// Whether a file is the locked package: its size and its digest.
fn check(locked: &Locked, path: &Path) -> Result<(), String> {
    let wrong = |error: io::Error| format!("{}: {error}", path.display());
    let bytes = fs::metadata(path).map_err(wrong)?.len();
    if bytes != locked.bytes {
        return Err(format!(
            "{} has {bytes} bytes, not {}",
            path.display(),
            locked.bytes
        ));
    }
    let found = digest::of_file(path).map_err(wrong)?;
    if found != locked.sha256 {
        return Err(format!(
            "{} has the sha256 {found}, not {}",
            path.display(),
            locked.sha256
        ));
    }
    Ok(())
}

/// Fetches a package, a second time if the first was damaged on its way.
fn fetch_one(
    state: &State,
    order: &Order,
    locked: &Locked,
    path: &Path,
    progress: &dyn Fn(&str),
) -> Result<(), Unavailable> {
    let debs = path.parent().unwrap_or(path);
    let mut damage = String::new();
    for _ in 0..2 {
        let fetched = match state.download(locked) {
            Ok(fetched) => fetched,
            Err(Failure::Gone) => {
                return Err(Unavailable(format!(
                    "{locked} (of {}) is no longer on the mirror; re-lock with \
                     `cargo xtask vm-test --relock`",
                    order.of
                )));
            }
            Err(Failure::Said(what)) => return Err(not_fetched(order, locked, debs, &what)),
        };
        match check(locked, &fetched) {
            Ok(()) => {
                return fs::rename(&fetched, path).map_err(|error| super::unusable(path, &error));
            }
            Err(what) => {
                progress(&format!("{what}: deleted, to be fetched again"));
                damage = what;
            }
        }
    }
    let what = format!("it was damaged twice ({damage})");
    Err(not_fetched(order, locked, debs, &what))
}

fn not_fetched(order: &Order, locked: &Locked, debs: &Path, what: &str) -> Unavailable {
    Unavailable(format!(
        "{locked} (of {}) could not be fetched: {what}; connect this machine to a \
         Debian mirror, or put {} into {}",
        order.of,
        file_name(locked),
        debs.display()
    ))
}
