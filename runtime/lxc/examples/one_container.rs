//! One container from its creation to its end:
//!
//! ```sh
//! cargo build --package lxc-engine                  # the monitor program
//! sudo cargo run --package lxc-runtime --example one_container -- /srv/rootfs
//! ```
//!
//! The argument is a directory with a Linux root file system in it; busybox alone is enough. The
//! container's own directory is made in a temporary place and removed again.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lxc_runtime::{AttachOptions, Command, Container, CreateOptions, Error, StartOptions, State};

fn main() -> ExitCode {
    let Some(rootfs) = std::env::args().nth(1) else {
        eprintln!("usage: one_container ROOTFS");
        return ExitCode::from(2);
    };
    let lxcpath = std::env::temp_dir().join(format!("one-container-{}", std::process::id()));
    match from_create_to_destroy(&rootfs, &lxcpath) {
        Ok(status) => {
            println!("the command ended with wait status {status}");
            // Destroying a container leaves the directory of all containers.
            let _ = std::fs::remove_dir(&lxcpath);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("one_container: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives the wait status of the command that was run inside.
pub fn from_create_to_destroy(rootfs: &str, lxcpath: &Path) -> Result<i32, Error> {
    // Opening creates nothing.
    let mut container = Container::open("example", Some(lxcpath))?;
    for (key, value) in [
        ("lxc.rootfs.path", rootfs),
        ("lxc.uts.name", "example"),
        ("lxc.net.0.type", "empty"),
        ("lxc.mount.auto", "proc"),
    ] {
        container.set_config_item(key, value)?;
    }
    // Without a template: the rootfs is there already.
    container.create(&CreateOptions::default())?;
    let lived = live(&container);
    // Whatever came of it.
    container.stop()?;
    // The rootfs is not ours to remove.
    container.set_config_item("lxc.rootfs.path", "")?;
    container.destroy()?;
    lived
}

fn live(container: &Container) -> Result<i32, Error> {
    let init = ["/bin/sh", "-c", "while :; do sleep 1; done"];
    container.start(&StartOptions {
        argv: init.map(String::from).to_vec(),
        ..StartOptions::default()
    })?;
    println!("init has the pid {:?}", container.init_pid()?);

    let command = ["/bin/sh", "-c", "echo \"hello from $(hostname)\""];
    let attached = container.attach(&AttachOptions {
        command: Command::Program(command.map(String::from).to_vec()),
        ..AttachOptions::default()
    })?;
    let status = attached.wait()?;

    container.stop()?;
    let stopped = container.wait(&[State::Stopped], Some(Duration::from_secs(5)))?;
    println!("stopped: {stopped}");
    Ok(status)
}
