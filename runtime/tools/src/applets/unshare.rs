//! lxc-unshare: runs a program in namespaces of its own.

use lxc_runtime::UnshareOptions;

use super::attach::namespaces;
use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::{Effect, Opt, Short};

#[derive(Default)]
pub struct Unshare {
    namespaces: u64,
    uid: Option<u32>,
    hostname: Option<String>,
    interfaces: Vec<String>,
    daemon: bool,
    remount: bool,
}

impl Applet for Unshare {
    const WORDS: Words = Words {
        program: "lxc-unshare",
        synopsis: "-s NAMESPACES [OPTION...] [--] COMMAND...",
        about: "lxc-unshare runs COMMAND in namespaces of its own. It ends with 0 if COMMAND does, and\n\
                with 1 otherwise.",
        notes: "",
    };

    const NEEDS_NAME: bool = false;

    const OPTIONS: &'static [Opt<Unshare>] = &[
        Opt {
            long: "namespaces",
            short: Short::Listed('s'),
            effect: Effect::Value("NS|...", |unshare, list| {
                unshare.namespaces = namespaces(list)?;
                Ok(())
            }),
            help: "The new namespaces: a list of MOUNT, PID, UTSNAME, IPC, USER and NETWORK\n\
                   joined by |",
        },
        Opt {
            long: "user",
            short: Short::Listed('u'),
            effect: Effect::Value("USER", |unshare, user| {
                unshare.uid = Some(uid(user)?);
                Ok(())
            }),
            help: "Id or name of the user that the caller is in a new USER namespace",
        },
        Opt {
            long: "hostname",
            short: Short::Listed('H'),
            effect: Effect::Value("NAME", |unshare, name| {
                unshare.hostname = Some(name.to_owned());
                Ok(())
            }),
            help: "Host name in a new UTSNAME namespace",
        },
        Opt {
            long: "ifname",
            short: Short::Listed('i'),
            effect: Effect::Value("DEVICE", |unshare, device| {
                unshare.interfaces.push(device.to_owned());
                Ok(())
            }),
            help: "Network device that is moved into a new NETWORK namespace; may be repeated",
        },
        Opt {
            long: "daemon",
            short: Short::Listed('d'),
            effect: Effect::Flag(|unshare| unshare.daemon = true),
            help: "Do not wait for COMMAND",
        },
        Opt {
            long: "remount",
            short: Short::Listed('M'),
            effect: Effect::Flag(|unshare| unshare.remount = true),
            help: "Mount /proc, /dev/shm and /dev/mqueue anew in a new MOUNT namespace",
        },
    ];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        if rest.is_empty() {
            return Err(Failure::new(
                "A command to execute in the new namespace is required; name it behind the options",
            ));
        }
        if self.namespaces == 0 {
            return Err(Failure::new(
                "A namespace to execute command is required; name one with -s",
            ));
        }
        common.set_up_log()?;
        let unshared = lxc_runtime::unshare(&UnshareOptions {
            namespaces: self.namespaces,
            uid: self.uid,
            hostname: self.hostname,
            interfaces: self.interfaces,
            remount: self.remount,
            argv: rest,
        })?;
        if self.daemon {
            return Ok(0);
        }
        Ok(u8::from(unshared.wait()? != 0))
    }
}

/// An id in digits, or the name of a user.
fn uid(user: &str) -> Result<u32, String> {
    if user.bytes().all(|byte| byte.is_ascii_digit()) && !user.is_empty() {
        let id = user.parse().ok().filter(|id| *id != u32::MAX);
        return id.ok_or_else(|| format!("--user {user}: ids end at {}", u32::MAX - 1));
    }
    lxc_runtime::user_id(user).ok_or_else(|| {
        format!("--user {user}: there is no user of that name; give one of /etc/passwd, or an id")
    })
}
