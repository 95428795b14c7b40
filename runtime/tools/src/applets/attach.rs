//! lxc-attach: runs a program, or a shell, in a running container.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use lxc_runtime::{AttachOptions, Command, Elevated};
use rustix::fs::OFlags;

use super::exit_code;
use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::{self, Common};
use crate::options::{Effect, Opt, Short, Takes};

#[derive(Default)]
pub struct Attach {
    elevated: Elevated,
    arch: Option<String>,
    namespaces: Option<u64>,
    clear_env: bool,
    keep_vars: Vec<String>,
    set_vars: Vec<(String, String)>,
    pty_log: Option<String>,
    rcfile: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    context: Option<String>,
}

const ALL: Elevated = Elevated {
    cgroup: true,
    caps: true,
    lsm: true,
};

impl Applet for Attach {
    const WORDS: Words = Words {
        program: "lxc-attach",
        synopsis: "[--name=]NAME [OPTION...] [-- COMMAND...]",
        about: "lxc-attach runs COMMAND, or the user's shell, in the running container NAME and ends\n\
                with the exit status of COMMAND.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Attach>] = &[
        Opt {
            long: "elevated-privileges",
            short: Short::Listed('e'),
            effect: Effect::Optional("PRIV|...", |attach, list| {
                elevate(&mut attach.elevated, list)
            }),
            help: "Do not apply these restrictions of the container to COMMAND: a list of\n\
                   CGROUP, CAP and LSM joined by |, without a list all of them.\n\
                   Privileges can leak into the container: use with care",
        },
        Opt {
            long: "arch",
            short: Short::Listed('a'),
            effect: Effect::Value("ARCH", |attach, arch| {
                attach.arch = Some(arch.to_owned());
                Ok(())
            }),
            help: "Architecture that COMMAND sees (default: the container's)",
        },
        Opt {
            long: "namespaces",
            short: Short::Listed('s'),
            effect: Effect::Value("NS|...", |attach, list| {
                attach.namespaces = Some(namespaces(list)?);
                // LXC's rule: outside some namespaces the restrictions would not fit.
                attach.elevated = ALL;
                Ok(())
            }),
            help: "Join only these namespaces: a list of MOUNT, PID, UTSNAME, IPC, USER and\n\
                   NETWORK joined by |. Implies -e with all privileges",
        },
        Opt {
            long: "remount-sys-proc",
            short: Short::Listed('R'),
            effect: Effect::Later(
                Takes::Nothing,
                "mounting /proc and /sys anew for COMMAND is",
            ),
            help: "Mount /proc and /sys anew when -s leaves out the mount namespace",
        },
        Opt {
            long: "clear-env",
            short: Short::None,
            effect: Effect::Flag(|attach| attach.clear_env = true),
            help: "Start with an empty environment",
        },
        Opt {
            long: "keep-env",
            short: Short::None,
            effect: Effect::Flag(|attach| attach.clear_env = false),
            help: "Keep the present environment (default)",
        },
        Opt {
            long: "keep-var",
            short: Short::None,
            effect: Effect::Value("NAME", |attach, name| {
                attach.keep_vars.push(name.to_owned());
                Ok(())
            }),
            help: "Keep variable NAME in spite of --clear-env; may be repeated",
        },
        Opt {
            long: "set-var",
            short: Short::Listed('v'),
            effect: Effect::Value("NAME=VALUE", |attach, text| {
                let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty())
                else {
                    return Err(format!("--set-var {text}: NAME=VALUE is expected"));
                };
                attach.set_vars.push((name.to_owned(), value.to_owned()));
                Ok(())
            }),
            help: "Set variable NAME for COMMAND; may be repeated",
        },
        Opt {
            long: "pty-log",
            short: Short::Listed('L'),
            effect: Effect::Value("FILE", |attach, file| {
                attach.pty_log = Some(file.to_owned());
                Ok(())
            }),
            help: "Copy what appears on the terminal to FILE",
        },
        Opt {
            long: "rcfile",
            short: Short::Listed('f'),
            effect: Effect::Value("FILE", |attach, file| {
                attach.rcfile = Some(file.to_owned());
                Ok(())
            }),
            help: "Use FILE instead of the container's configuration",
        },
        Opt {
            long: "uid",
            short: Short::Listed('u'),
            effect: Effect::Value("UID", |attach, text| {
                attach.uid = Some(invocation::id("--uid", text)?);
                Ok(())
            }),
            help: "Run COMMAND as user UID of the container",
        },
        Opt {
            long: "gid",
            short: Short::Listed('g'),
            effect: Effect::Value("GID", |attach, text| {
                attach.gid = Some(invocation::id("--gid", text)?);
                Ok(())
            }),
            help: "Run COMMAND as group GID of the container",
        },
        Opt {
            long: "context",
            short: Short::Listed('c'),
            effect: Effect::Value("LABEL", |attach, label| {
                attach.context = Some(label.to_owned());
                Ok(())
            }),
            help: "Run COMMAND under this SELinux context or AppArmor profile",
        },
    ];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        if self.context.is_some() && self.elevated.lsm {
            return Err(Failure::new(
                "Cannot combine elevated LSM privileges while requesting LSM profile",
            ));
        }
        if let Some(file) = &self.rcfile {
            common.set_rcfile(file);
        }
        let container = common.open()?;
        let log = self.pty_log.as_deref().map(open_pty_log).transpose()?;
        let attached = container.attach(&AttachOptions {
            command: if rest.is_empty() {
                Command::Shell
            } else {
                Command::Program(rest)
            },
            namespaces: self.namespaces,
            elevated: self.elevated,
            arch: self.arch,
            uid: self.uid,
            gid: self.gid,
            clear_env: self.clear_env,
            keep_vars: self.keep_vars,
            set_vars: self.set_vars,
            terminal: on_terminal(),
            context: self.context,
            log,
            ..AttachOptions::default()
        })?;
        let failure = attached.exec_failure();
        let code = exit_code(attached.wait()?);
        match failure {
            Some(error) => Err(Failure::from(error).with_code(code)),
            None => Ok(code),
        }
    }
}

/// A regular file, appended to and readable by its owner; never through a link.
fn open_pty_log(file: &str) -> Result<Arc<OwnedFd>, Failure> {
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32)
        .open(file);
    let regular = opened.and_then(|opened| match opened.metadata()?.is_file() {
        true => Ok(opened),
        false => Err(io::Error::other("not a regular file")),
    });
    match regular {
        Ok(opened) => Ok(Arc::new(opened.into())),
        Err(error) => Err(Failure::new(format!(
            "cannot open {file} for the terminal's output: {error}; name a regular file with -L"
        ))),
    }
}

/// One terminal among the three is enough: it must not leak into the container as it is.
fn on_terminal() -> bool {
    std::io::stdin().is_terminal()
        || std::io::stdout().is_terminal()
        || std::io::stderr().is_terminal()
}

fn elevate(elevated: &mut Elevated, list: Option<&str>) -> Result<(), String> {
    let Some(list) = list else {
        *elevated = ALL;
        return Ok(());
    };
    for word in list.split('|').map(str::trim) {
        match word {
            "CGROUP" => elevated.cgroup = true,
            "CAP" => elevated.caps = true,
            "LSM" => elevated.lsm = true,
            _ => {
                return Err(format!(
                    "--elevated-privileges: {word:?} is none of CGROUP, CAP and LSM"
                ));
            }
        }
    }
    Ok(())
}

/// The namespaces by LXC's name, the kernel's name, and the kernel's clone flag.
const NAMESPACES: [(&str, &str, u64); 8] = [
    ("MOUNT", "mnt", 0x0002_0000),
    ("PID", "pid", 0x2000_0000),
    ("UTSNAME", "uts", 0x0400_0000),
    ("IPC", "ipc", 0x0800_0000),
    ("USER", "user", 0x1000_0000),
    ("NETWORK", "net", 0x4000_0000),
    ("CGROUP", "cgroup", 0x0200_0000),
    ("TIME", "time", 0x0000_0080),
];

/// A list of them as bits; an error names the option.
pub(super) fn namespaces(list: &str) -> Result<u64, String> {
    list.split('|').map(str::trim).try_fold(0, |flags, word| {
        let row = NAMESPACES
            .iter()
            .find(|(lxc, kernel, _)| word == *lxc || word.eq_ignore_ascii_case(kernel));
        row.map(|(_, _, flag)| flags | flag).ok_or_else(|| {
            let names: Vec<&str> = NAMESPACES.iter().map(|row| row.0).collect();
            format!("--namespaces: {word:?} is none of {}", names.join(", "))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("MOUNT", Some(0x0002_0000))]
    #[case("mnt|Pid", Some(0x2002_0000))]
    #[case("NETWORK|UTSNAME", Some(0x4400_0000))]
    #[case("net|time|cgroup", Some(0x4200_0080))]
    #[case("mount", None)]
    #[case("", None)]
    #[case("PID|", None)]
    fn namespace_lists(#[case] list: &str, #[case] flags: Option<u64>) {
        assert_eq!(namespaces(list).ok(), flags);
    }

    #[rstest]
    #[case(None, Some((true, true, true)))]
    #[case(Some("CAP"), Some((false, true, false)))]
    #[case(Some("LSM|CGROUP"), Some((true, false, true)))]
    #[case(Some("cap"), None)]
    #[case(Some("=CAP"), None)]
    fn elevated_lists(#[case] list: Option<&str>, #[case] wanted: Option<(bool, bool, bool)>) {
        let mut elevated = Elevated::default();
        let done = elevate(&mut elevated, list).is_ok();
        let found = done.then_some((elevated.cgroup, elevated.caps, elevated.lsm));
        assert_eq!(found, wanted);
    }
}
