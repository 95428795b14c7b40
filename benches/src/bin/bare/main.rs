//! The floor of a start and of an attach: what the kernel has to do for them, and nothing else.
//!
//! **Is** a program that starts, attaches to and stops a container of its own with the same kernel
//! operations as our `lxc-start`, `lxc-attach -- /bin/true` and the monitor. How much slower those
//! are is their overhead: reading and checking a configuration, planning, the command socket, safe
//! resolution of paths, undo, logs, error texts.
//! **Knows** one container: the busybox template's, without a network device.
//! **Never** looks around: its caller says where the root and the cgroups are. It trusts the rootfs,
//! so it is nothing to run containers with.
//!
//! The operations of a start: execute a tool; bind a copy of this program read-only, execute it;
//! make a cgroup a hierarchy for the monitor, be born in it again (v2) or move there (v1), lead a
//! session; a terminal in the host's devpts; a nameless file in the rootfs; a cgroup a hierarchy for
//! the guest; clone it into new namespaces (mnt uts ipc pid net, and on v2 alone cgroup), where there
//! is v1 move it and unshare the cgroup namespace; mounts made slaves; the rootfs bound; /dev, /proc
//! with its covered places, /sys, /dev/shm, /dev/mqueue, the host's library directories, on v2 alone a
//! cgroup2, /dev/pts; six device nodes, a console, five terminals, four links; the root changed; a
//! boot id; four capabilities dropped; execute init.
//! Of an attach: execute a tool; bind and execute the copy; open the guest's cgroups and move there; a
//! cgroup below on v2; enter five namespaces, be born in them, enter that of cgroups; drop the same
//! capabilities; execute the program.
//!
//! The list is what `strace -f` shows of ours up to the last execve, less what a user of the kernel
//! could leave out. `cargo xtask bench` prints the counts of both, and the test `floor` fails when
//! they differ by more than a tenth in any row of the table in `lxc_benches::operations`.
#![forbid(unsafe_code)]

mod attach;
mod cgroups;
mod guest;
mod guest_dev;
mod orders;
mod start;

use std::process::ExitCode;

use orders::Orders;

/// CAP_SYS_MODULE, CAP_SYS_TIME, CAP_MAC_OVERRIDE, CAP_MAC_ADMIN: what the busybox template drops.
const DROPPED: [u32; 4] = [16, 25, 32, 33];

/// The first number of what a second program of ours is given.
const GIVEN: i32 = 3;

fn main() -> ExitCode {
    let done = Orders::parse(std::env::args().skip(1)).and_then(|orders| obey(&orders));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bare: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn obey(orders: &Orders) -> Result<(), String> {
    match orders.act.as_str() {
        "start" => start::start(orders),
        "attach" => attach::attach(orders),
        "stop" => start::stop(orders),
        "monitor" => start::monitor(orders),
        "help-attach" => attach::help(orders),
        other => Err(format!(
            "{other:?} is no act; there are start, attach, stop"
        )),
    }
}
