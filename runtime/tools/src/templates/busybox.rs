//! lxc-busybox: a small root file system around one program of the host.

mod content;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::rootfs::Rootfs;
use crate::applet::Entry;
use crate::failure::Failure;
use crate::help::{self, Table, Words};
use crate::options::{self, Effect, Opt, Short, Text};
use crate::output;

/// The template among the names of the program.
pub const ENTRY: Entry = Entry {
    words: &WORDS,
    table,
    run,
};

const PROGRAM: &str = "lxc-busybox";

const WORDS: Words = Words {
    program: PROGRAM,
    synopsis: "--name=NAME --path=PATH [OPTION...]",
    about: "lxc-busybox fills the root file system of a container with busybox. lxc-create runs it\n\
            and gives the first options below; options after its -- are added.",
    notes: "",
};

#[derive(Default)]
struct Request {
    name: Option<String>,
    path: Option<PathBuf>,
    rootfs: Option<PathBuf>,
    busybox: Option<PathBuf>,
}

const OPTIONS: &[Opt<Request>] = &[
    Opt {
        long: "name",
        short: Short::Listed('n'),
        effect: Effect::Value("NAME", |request, name| {
            request.name = Some(name.to_owned());
            Ok(())
        }),
        help: "Name of the container",
    },
    Opt {
        long: "path",
        short: Short::Listed('p'),
        effect: Effect::Value("PATH", |request, path| {
            request.path = Some(PathBuf::from(path));
            Ok(())
        }),
        help: "Directory of the container, in which its config is",
    },
    Opt {
        long: "rootfs",
        short: Short::None,
        effect: Effect::Value("PATH", |request, path| {
            request.rootfs = Some(PathBuf::from(path));
            Ok(())
        }),
        help: "Directory to fill (default: lxc.rootfs.path of the config, or PATH/rootfs)",
    },
    Opt {
        long: "mapped-uid",
        short: Short::None,
        effect: Effect::Value("UID", ignore_mapped),
        help: "The caller's user id in a container with id maps",
    },
    Opt {
        long: "mapped-gid",
        short: Short::None,
        effect: Effect::Value("GID", ignore_mapped),
        help: "The caller's group id in a container with id maps",
    },
    Opt {
        long: "busybox-path",
        short: Short::None,
        effect: Effect::Value("PATH", |request, path| {
            request.busybox = Some(PathBuf::from(path));
            Ok(())
        }),
        help: "The busybox to copy (default: that of PATH)",
    },
    Opt {
        long: "help",
        short: Short::Listed('h'),
        effect: Effect::Text(Text::Help),
        help: "Print this help",
    },
];

/// Everything it makes belongs to whoever runs it, and the config it appends to stays whose it is.
fn ignore_mapped(_request: &mut Request, _id: &str) -> Result<(), String> {
    Ok(())
}

/// Runs the template and returns the exit status, 0 or 1.
fn run(words: Vec<String>) -> u8 {
    match fill(words) {
        Ok(()) => 0,
        Err(failure) => {
            output::complain(&format!("{PROGRAM}: {}", failure.text));
            failure.code
        }
    }
}

fn fill(words: Vec<String>) -> Result<(), Failure> {
    let Some(request) = read(words)? else {
        return Ok(());
    };
    let (Some(name), Some(path)) = (&request.name, &request.path) else {
        return Err(Failure::new(
            "--name and --path are needed: lxc-create gives both",
        ));
    };
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            "only root can run it, of the host or of a user namespace: use lxc-create",
        ));
    }
    let busybox = find_busybox(request.busybox.as_deref())?;
    let applets = applets(&busybox)?;
    let help = udhcpc_help(&busybox)?;
    let config_path = path.join("config");
    let config = std::fs::read_to_string(&config_path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", config_path.display())))?;
    let configured = content::rootfs_path(&config);
    let rootfs_path = request
        .rootfs
        .or(configured.clone())
        .unwrap_or_else(|| path.join("rootfs"));
    // Checked before anything is made: the lines name host paths and the container.
    let lines =
        content::config_lines(name, &rootfs_path, configured.is_some()).map_err(Failure::new)?;

    std::fs::create_dir_all(&rootfs_path)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", rootfs_path.display())))?;
    let rootfs = Rootfs::open(&rootfs_path).map_err(Failure::new)?;
    populate(
        &rootfs,
        &busybox,
        &applets,
        content::udhcpc_script_path(&help),
    )
    .map_err(Failure::new)?;
    append_config(&config_path, &config, &lines)
}

fn table() -> Table {
    Table {
        own: OPTIONS.iter().map(Opt::form).collect(),
        common: Vec::new(),
    }
}

/// None when a text was asked for and printed.
fn read(words: Vec<String>) -> Result<Option<Request>, Failure> {
    let table = table();
    let found = options::matched(&table.own, words, false);
    let mut request = Request::default();
    for given in found.given {
        let value = given.value.as_deref().unwrap_or_default();
        match OPTIONS[given.row].effect {
            Effect::Value(_, set) => set(&mut request, value).map_err(Failure::new)?,
            _ => {
                output::print(&help::help(&WORDS, &table))?;
                return Ok(None);
            }
        }
    }
    if let Some(mistake) = found.mistake {
        return Err(Failure::new(format!(
            "{mistake} (lxc-create -t busybox -h lists the options)"
        )));
    }
    if let Some(word) = found.rest.first() {
        return Err(Failure::new(format!(
            "the argument {word:?} is not understood"
        )));
    }
    Ok(Some(request))
}

fn find_busybox(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(Failure::new(format!(
                "there is no busybox at {}",
                path.display()
            )))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("busybox"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::new(
                "there is no busybox in PATH: install it (package busybox-static), or give \
                 --busybox-path",
            )
        })
}

fn run_busybox(busybox: &Path, arguments: &[&str]) -> Result<Output, Failure> {
    Command::new(busybox)
        .args(arguments)
        .output()
        .map_err(|error| Failure::new(format!("cannot run {}: {error}", busybox.display())))
}

/// What udhcpc says of itself; old versions say it on the other stream and fail.
fn udhcpc_help(busybox: &Path) -> Result<String, Failure> {
    let Output { stdout, stderr, .. } = run_busybox(busybox, &["udhcpc", "--help"])?;
    Ok(String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// The words that this busybox can be called by, itself left out.
fn applets(busybox: &Path) -> Result<Vec<String>, Failure> {
    let output = run_busybox(busybox, &["--list"])?;
    let list = String::from_utf8_lossy(&output.stdout);
    let words = list
        .lines()
        .map(str::trim)
        .filter(|word| content::is_applet(word));
    let applets: Vec<String> = words.map(str::to_owned).collect();
    if applets.is_empty() || !output.status.success() {
        return Err(Failure::new(format!(
            "{} --list names no applets: it is no busybox",
            busybox.display()
        )));
    }
    Ok(applets)
}

fn populate(
    rootfs: &Rootfs,
    busybox: &Path,
    applets: &[String],
    udhcpc_script: &str,
) -> Result<(), String> {
    for (directory, mode) in content::DIRECTORIES {
        rootfs.directory(directory, *mode)?;
    }
    rootfs.append("etc/passwd", 0o644, content::PASSWD.as_bytes())?;
    rootfs.append("etc/group", 0o644, content::GROUP.as_bytes())?;
    rootfs.replace("etc/init.d/rcS", 0o744, content::RC_S.as_bytes())?;
    rootfs.replace("etc/inittab", 0o644, content::INITTAB.as_bytes())?;
    rootfs.append("etc/fstab", 0o644, b"")?;
    rootfs.append("etc/shadow", 0o644, b"")?;
    rootfs.replace(udhcpc_script, 0o744, content::UDHCPC_SCRIPT.as_bytes())?;
    // Set-uid, because passwd and su are links to it.
    rootfs.copy(busybox, "bin/busybox", 0o6755)?;
    for applet in applets {
        rootfs.symlink("busybox", &format!("bin/{applet}"))?;
    }
    rootfs.hard_link("bin/busybox", "sbin/init")
}

/// Appends in one write, with a line end before it if the file lacks one.
fn append_config(path: &Path, before: &str, lines: &str) -> Result<(), Failure> {
    use std::io::Write;
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{gap}{lines}").as_bytes()))
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}
