//! A scope of systemd for a monitor without root: a delegated cgroup that the user's own systemd makes,
//! where it runs and nothing else is delegated.
//!
//! Four calls on a Unix socket are all that takes, so this speaks the wire format itself: a D-Bus
//! library would be the largest dependency of the monitor, and bring a runtime and threads into a
//! process that clones. `busctl` would be an exec for each call, of a program that need not be there.

mod bus;
mod message;

use bus::{Bus, Object};
use lxc_kernel::{Errno, Result, SysError, cgroup, file, users};
use lxc_plan::HierarchyFact;
use message::Writer;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long systemd may take, from connecting to the finished job.
const PATIENCE: Duration = Duration::from_secs(5);
/// Scopes tried: `lxc-NAME-0.scope` and so on.
const TRIES: u32 = 99;
/// Where the monitor waits in its scope, so that the scope itself can hand controllers down.
const WAITING: &str = "init";

const MANAGER: Object<'_> = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
);

/// Moves the calling process into a scope of its own, if it can have one: it is not root, systemd runs
/// here, and cgroup v2 is all there is. Gives the unit's name.
///
/// A scope that cannot be had is no error: the container does with what is delegated otherwise, as with
/// LXC.
pub fn enter(name: &str) -> Option<String> {
    if users::euid() == 0 || !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let own = file::read_path(Path::new("/proc/self/cgroup"), 4096).ok()?;
    if !own.starts_with(b"0::") || own.trim_ascii().contains(&b'\n') {
        return None;
    }
    match start(&own_bus(), name, std::process::id(), PATIENCE) {
        Ok(unit) => Some(unit),
        Err(error) => {
            log::warn!("no systemd scope for the container: {error}");
            None
        }
    }
}

/// Has the calling process put into the scope `unit` of a container: from a session of its own it may
/// not enter the cgroups there by itself.
///
/// # Errors
/// The bus or systemd refuses, or takes longer than five seconds.
pub fn join(unit: &str) -> Result<()> {
    let mut bus = Bus::connect(&own_bus(), Instant::now() + PATIENCE)?;
    let mut body = Writer::default();
    body.text(unit).text(&format!("/{WAITING}"));
    body.array(4, |pids| {
        pids.number(std::process::id());
    });
    bus.call(MANAGER, "AttachProcessesToUnit", "ssau", &body)
        .map(drop)
}

/// Where the user's own bus is.
fn own_bus() -> String {
    std::env::var("DBUS_SESSION_BUS_ADDRESS")
        .unwrap_or_else(|_| format!("unix:path=/run/user/{}/bus", users::euid()))
}

/// Has the process `pid` put into a new scope named after the container `name` by the systemd on the
/// bus at `address`; gives the unit's name when the job is done.
///
/// # Errors
/// The bus or systemd refuses, or takes longer than `patience`.
pub fn start(address: &str, name: &str, pid: u32, patience: Duration) -> Result<String> {
    let mut bus = Bus::connect(address, Instant::now() + patience)?;
    if let Err(error) = bus.call(MANAGER, "Subscribe", "", &Writer::default()) {
        // Somebody else's subscription makes systemd send its news as well.
        log::info!("{error}");
    }
    bus.subscribe(
        "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
         interface='org.freedesktop.systemd1.Manager',member='JobRemoved'",
    )?;
    for number in 0..TRIES {
        let unit = format!("lxc-{}-{number}.scope", escaped(name));
        match bus.call(
            MANAGER,
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            &wish(&unit, pid),
        ) {
            Err(error) if error.errno == Errno::EXIST => {}
            Err(error) => return Err(error),
            Ok(_) => return finished(&mut bus, unit),
        }
    }
    Err(SysError::new(
        "StartTransientUnit",
        format!("lxc-{name}-N.scope"),
        Errno::EXIST,
    ))
}

/// Characters that a unit's name may not have, as systemd escapes them.
fn escaped(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.');
    let escape = |b: u8| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("\\x{b:02x}"),
    };
    name.bytes().map(escape).collect()
}

/// The scope `unit` with one process, its cgroup delegated, forgotten when it is empty.
fn wish(unit: &str, pid: u32) -> Writer {
    let mut body = Writer::default();
    body.text(unit).text("fail");
    body.array(8, |properties| {
        let pids = properties.align(8).text("PIDs").signature("au");
        pids.array(4, |pids| {
            pids.number(pid);
        });
        properties
            .align(8)
            .text("Delegate")
            .signature("b")
            .number(1);
        let mode = properties.align(8).text("CollectMode").signature("s");
        mode.text("inactive-or-failed");
    });
    body.array(8, |_| {});
    body
}

fn finished(bus: &mut Bus, unit: String) -> Result<String> {
    loop {
        let signal = bus.signal()?;
        if signal.member.as_deref() != Some("JobRemoved") {
            continue;
        }
        // Number and path of the job, unit, result.
        let words = signal.arguments()?;
        match words.get(2..4) {
            Some([of, result]) if *of == unit && result == "done" => return Ok(unit),
            Some([of, result]) if *of == unit => {
                return Err(SysError::new(
                    "StartTransientUnit",
                    format!("{unit}: {result}"),
                    Errno::REMOTEIO,
                ));
            }
            _ => {}
        }
    }
}

/// Moves the calling process into a leaf of the scope, which is the base of `hierarchies`: then the
/// scope can hand its controllers down.
pub fn settle(hierarchies: &[HierarchyFact]) -> Result<()> {
    let Some(scope) = hierarchies.iter().find(|h| h.unified) else {
        return Ok(());
    };
    let base = cgroup::open(&Path::new(&scope.mount).join(&scope.base))?;
    let (leaf, _) = cgroup::make(base.as_fd(), WAITING, false)?;
    cgroup::enter_v2(leaf.as_fd())
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_unit_is_named_after_its_container() {
        assert_eq!(escaped("demo-1_x.y"), "demo-1_x.y");
        assert_eq!(escaped("a b/ü"), "a\\x20b\\x2f\\xc3\\xbc");
    }
}
