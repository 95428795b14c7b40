//! The agent: PID 1 of a machine, and the modprobe that its kernel calls.
//!
//! **Is** what makes a booted kernel a host, and what does there what the harness asks.
//! **Knows** the protocol and Linux.
//! **Never** judges, and never ends: what it cannot do is said on the port or, before there is one,
//! on the console, and then the machine is switched off.
#![forbid(unsafe_code)]

mod census;
mod cgroups;
mod children;
mod console;
mod features;
mod modules;
mod parameters;
mod port;
mod prepare;
mod processes;
mod serve;
mod setup;
mod table;
mod trouble;
mod users;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};

use crate::modules::Index;
use crate::serve::Agent;
use crate::trouble::Outcome;

fn main() -> ExitCode {
    let init_at_ms = since_boot_ms();
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    if Path::new(&name).ends_with("modprobe") {
        // Words that are no UTF-8 name no module of ours.
        let words: Vec<String> = words.filter_map(|word| word.into_string().ok()).collect();
        return modules::modprobe(&words);
    }
    if std::process::id() != 1 {
        eprintln!(
            "guest-agent: it is PID 1 of a machine, or that machine's modprobe; nothing else"
        );
        return ExitCode::from(2);
    }
    // PID 1 must not end: the kernel would panic and hide the reason.
    std::panic::set_hook(Box::new(|panic| console::give_up(&panic.to_string())));
    match machine(init_at_ms) {
        Ok(never) => match never {},
        Err(why) => console::give_up(&format!("cannot go on: {why}")),
    }
}

/// The whole life of a machine.
fn machine(init_at_ms: u64) -> Outcome<std::convert::Infallible> {
    setup::root()?;
    setup::mounts()?;
    table::cut()?;
    let index = Index::read()?;
    // Asked for first: the kernel finds the port in the background while the rest is set up.
    let wanted = port::Wanted::new(&index)?;
    let layout = cgroups::layout()?;
    cgroups::mount(layout)?;
    setup::rest()?;
    users::settle()?;
    index.load_known("overlay")?;
    let port = wanted.found()?;
    Agent::new(port, layout, init_at_ms)?.serve()
}

/// Milliseconds since the kernel's start.
fn since_boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec * 1000 + now.tv_nsec / 1_000_000).unwrap_or_default()
}
