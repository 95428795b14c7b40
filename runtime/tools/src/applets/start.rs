//! lxc-start: starts a container.

use std::path::PathBuf;

use lxc_runtime::{Container, ErrorKind, StartOptions};

use crate::applet::{self, Applet};
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::{self, Common};
use crate::options::{Effect, Opt, Short};
use crate::output;

#[derive(Default)]
pub struct Start {
    foreground: bool,
    close_all_fds: bool,
    plan: bool,
    rcfile: Option<String>,
    pidfile: Option<PathBuf>,
    items: Vec<(String, String)>,
}

impl Applet for Start {
    const WORDS: Words = Words {
        program: "lxc-start",
        synopsis: "[--name=]NAME [OPTION...] [-- COMMAND...]",
        about: "lxc-start starts the container NAME, with COMMAND in place of its init if given.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Start>] = &[
        Opt {
            long: "daemon",
            short: Short::Listed('d'),
            effect: Effect::Flag(|start| start.foreground = false),
            help: "Start in the background and return when the container runs (default)",
        },
        Opt {
            long: "foreground",
            short: Short::Listed('F'),
            effect: Effect::Flag(|start| start.foreground = true),
            help: "Connect this terminal to the container's console until it stops",
        },
        Opt {
            long: "rcfile",
            short: Short::Listed('f'),
            effect: Effect::Value("FILE", |start, file| {
                start.rcfile = Some(file.to_owned());
                Ok(())
            }),
            help: "Use FILE instead of the container's configuration",
        },
        Opt {
            long: "define",
            short: Short::Listed('s'),
            effect: Effect::Value("KEY=VALUE", |start, text| {
                start.items.push(invocation::definition(text)?);
                Ok(())
            }),
            help: "Set a configuration item over the configuration; may be repeated",
        },
        Opt {
            long: "console",
            short: Short::Listed('c'),
            effect: Effect::Value("FILE", |start, file| {
                let file = if file == "none" {
                    file.to_owned()
                } else {
                    absolute(file)?
                };
                start.items.push(("lxc.console.path".to_owned(), file));
                Ok(())
            }),
            help: "Use FILE as the container's console; none for no console",
        },
        Opt {
            long: "console-log",
            short: Short::Listed('L'),
            effect: Effect::Value("FILE", |start, file| {
                start
                    .items
                    .push(("lxc.console.logfile".to_owned(), absolute(file)?));
                Ok(())
            }),
            help: "Log what appears on the console to FILE",
        },
        Opt {
            long: "close-all-fds",
            short: Short::Listed('C'),
            effect: Effect::Flag(|start| start.close_all_fds = true),
            help: "Close all inherited descriptors; --daemon always does",
        },
        Opt {
            long: "pidfile",
            short: Short::Listed('p'),
            effect: Effect::Value("FILE", |start, file| {
                start.pidfile = Some(invocation::absolute(file)?);
                Ok(())
            }),
            help: "Write the pid of the container's monitor to FILE",
        },
        share(
            "share-net",
            "Use the network namespace of another container or process",
            |start, whose| {
                start.items.push(sharing("net", whose)?);
                Ok(())
            },
        ),
        share(
            "share-ipc",
            "Use the IPC namespace of another container or process",
            |start, whose| {
                start.items.push(sharing("ipc", whose)?);
                Ok(())
            },
        ),
        share(
            "share-uts",
            "Use the UTS namespace of another container or process",
            |start, whose| {
                start.items.push(sharing("uts", whose)?);
                Ok(())
            },
        ),
        share(
            "share-pid",
            "Use the PID namespace of another container or process",
            |start, whose| {
                start.items.push(sharing("pid", whose)?);
                Ok(())
            },
        ),
        Opt {
            long: "plan",
            short: Short::None,
            effect: Effect::Flag(|start| start.plan = true),
            help: "Print the steps of the start and take none of them",
        },
    ];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        if let Some(file) = &self.rcfile {
            common.set_rcfile(file);
        }
        let mut container = common.open()?;
        define(&mut container, &self.items)?;
        let options = StartOptions {
            argv: rest,
            mini_init: false,
            foreground: self.foreground,
            close_all_fds: self.close_all_fds || !self.foreground,
            pidfile: self.pidfile,
        };
        if self.plan {
            output::print(&container.plan(&options)?)?;
            return Ok(0);
        }
        // In the foreground this process becomes the monitor: systemd and terminals keep their pid.
        let started = match options.foreground {
            true => Err(container.become_monitor(&options)),
            false => container.start(&options),
        };
        match started {
            Ok(_) => Ok(0),
            // Somebody else's start is as good as ours: LXC's tool says so and succeeds.
            Err(error) if error.kind() == ErrorKind::AlreadyRunning => {
                if !common.quiet {
                    applet::tell(common, &error.to_string());
                }
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Sets the items given on the command line over the configuration.
pub fn define(container: &mut Container, items: &[(String, String)]) -> Result<(), Failure> {
    for (key, value) in items {
        container.set_config_item(key, value)?;
    }
    Ok(())
}

fn absolute(file: &str) -> Result<String, String> {
    let path = invocation::absolute(file)?;
    path.into_os_string()
        .into_string()
        .map_err(|path| format!("{path:?} is not valid UTF-8"))
}

/// A row for one of the options that share a namespace; `set` takes what [`sharing`] says.
pub const fn share<T>(
    long: &'static str,
    help: &'static str,
    set: fn(&mut T, &str) -> Result<(), String>,
) -> Opt<T> {
    Opt {
        long,
        short: Short::None,
        effect: Effect::Value("NAME|PID", set),
        help,
    }
}

/// The configuration item behind `--share-KIND WHOSE`.
pub fn sharing(kind: &str, whose: &str) -> Result<(String, String), String> {
    if whose.is_empty() {
        return Err(format!(
            "--share-{kind}: a container's name or a process id is expected"
        ));
    }
    Ok((format!("lxc.namespace.share.{kind}"), whose.to_owned()))
}
