//! lxc-execute: runs one program in a container, under a small init of ours.

use lxc_runtime::StartOptions;

use super::start::{define, share, sharing};
use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::{self, Common};
use crate::options::{Effect, Opt, Short};

#[derive(Default)]
pub struct Execute {
    daemon: bool,
    rcfile: Option<String>,
    items: Vec<(String, String)>,
}

impl Applet for Execute {
    const WORDS: Words = Words {
        program: "lxc-execute",
        synopsis: "[--name=]NAME [OPTION...] [-- COMMAND...]",
        about: "lxc-execute runs COMMAND (default: lxc.execute.cmd) in the container NAME and ends\n\
                with the exit status of COMMAND.",
        notes: "",
    };

    const OPTIONS: &'static [Opt<Execute>] = &[
        Opt {
            long: "daemon",
            short: Short::Listed('d'),
            effect: Effect::Flag(|execute| execute.daemon = true),
            help: "Run in the background and return when the container runs",
        },
        Opt {
            long: "rcfile",
            short: Short::Listed('f'),
            effect: Effect::Value("FILE", |execute, file| {
                execute.rcfile = Some(file.to_owned());
                Ok(())
            }),
            help: "Use FILE instead of the container's configuration",
        },
        Opt {
            long: "define",
            short: Short::Listed('s'),
            effect: Effect::Value("KEY=VALUE", |execute, text| {
                execute.items.push(invocation::definition(text)?);
                Ok(())
            }),
            help: "Set a configuration item over the configuration; may be repeated",
        },
        Opt {
            long: "uid",
            short: Short::Listed('u'),
            effect: Effect::Value("UID", |execute, text| {
                let id = invocation::id("--uid", text)?;
                execute
                    .items
                    .push(("lxc.init.uid".to_owned(), id.to_string()));
                Ok(())
            }),
            help: "Run COMMAND as user UID of the container",
        },
        Opt {
            long: "gid",
            short: Short::Listed('g'),
            effect: Effect::Value("GID", |execute, text| {
                let id = invocation::id("--gid", text)?;
                execute
                    .items
                    .push(("lxc.init.gid".to_owned(), id.to_string()));
                Ok(())
            }),
            help: "Run COMMAND as group GID of the container",
        },
        share(
            "share-net",
            "Use the network namespace of another container or process",
            |execute, whose| {
                execute.items.push(sharing("net", whose)?);
                Ok(())
            },
        ),
        share(
            "share-ipc",
            "Use the IPC namespace of another container or process",
            |execute, whose| {
                execute.items.push(sharing("ipc", whose)?);
                Ok(())
            },
        ),
        share(
            "share-uts",
            "Use the UTS namespace of another container or process",
            |execute, whose| {
                execute.items.push(sharing("uts", whose)?);
                Ok(())
            },
        ),
        share(
            "share-pid",
            "Use the PID namespace of another container or process",
            |execute, whose| {
                execute.items.push(sharing("pid", whose)?);
                Ok(())
            },
        ),
    ];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        if let Some(file) = &self.rcfile {
            common.set_rcfile(file);
        }
        let mut container = common.open()?;
        define(&mut container, &self.items)?;
        let options = StartOptions {
            argv: rest,
            mini_init: true,
            foreground: !self.daemon,
            close_all_fds: self.daemon,
            pidfile: None,
        };
        if options.foreground {
            // This process becomes the monitor, whose exit code is the program's.
            return Err(container.become_monitor(&options).into());
        }
        container.start(&options)?;
        Ok(0)
    }
}
