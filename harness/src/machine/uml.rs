//! A kernel that is a program (user-mode Linux): how it is started.
//!
//! Its guests' processes are processes of this host, held by the kernel's process with ptrace: let go, they would make
//! system calls of this host. So all of it lives in a pid namespace of its own, whose first process is a shell: killed
//! with the namespace they die before the one that holds them, and none is left behind. (The kernel cannot be the
//! first itself: to end, it aborts, and a first process cannot be aborted.) Started by root, it runs as nobody,
//! without a capability and without a way to one.
//!
//! | word | why |
//! |---|---|
//! | `/proc/self/fd/N` | nobody may have no way to the files |
//! | `con=null con0=null,fd:N` | the console is a file, all other terminals are nothing |
//! | `ssl=null ssl0=fd:N` | the first serial line is the agent's port: there is no virtio |
//! | `uml_dir=/proc/self/fdinfo/` | a directory in which nothing can be made: no console of its own to command it, nothing to remove |
//! | `quiet panic=-1` | as with QEMU |

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;

use lxc_guest::protocol::SERIAL_PARAMETER;

use super::command_line::cgroup_parameters;
use super::{Lost, Spec};

/// Numbers at which it finds what we give it.
pub(super) mod fd {
    /// The agent's port.
    pub const PORT: i32 = 3;
    /// The kernel's program.
    pub const KERNEL: i32 = 4;
    /// The first filesystem.
    pub const INITRAMFS: i32 = 5;
    /// The console's log.
    pub const SERIAL: i32 = 6;
}

/// Debian's user and group `nobody`, who owns nothing.
const NOBODY: u32 = 65534;

/// The shell that is the first process.
const FIRST: &str = "\"$@\"; exit $?";

/// The whole command line, for root or for somebody else.
pub(super) fn argv(spec: &Spec, root: bool) -> Vec<OsString> {
    let mut line = match root {
        true => "unshare --pid --fork --kill-child=KILL".to_owned(),
        false => "unshare --user --map-current-user --pid --fork --kill-child=KILL".to_owned(),
    };
    // With another user the kernel forgets the death signal; setpriv sets it last.
    line += " setpriv --pdeathsig KILL --no-new-privs";
    if root {
        line += &format!(" --reuid={NOBODY} --regid={NOBODY} --clear-groups");
        line += " --inh-caps=-all --bounding-set=-all";
    }
    let mut words: Vec<OsString> = split(&line);
    words.extend(["sh", "-c", FIRST, "sh"].map(OsString::from));
    words.extend(split(&kernel_line(spec)));
    words
}

fn kernel_line(spec: &Spec) -> String {
    let mut line = format!(
        "/proc/self/fd/{} mem={}M initrd=/proc/self/fd/{} con=null con0=null,fd:{} ssl=null ssl0=fd:{} \
         uml_dir=/proc/self/fdinfo/ quiet panic=-1 {SERIAL_PARAMETER}=/dev/ttyS0 {}",
        fd::KERNEL,
        spec.memory_mib,
        fd::INITRAMFS,
        fd::SERIAL,
        fd::PORT,
        cgroup_parameters(spec.layout),
    );
    for extra in &spec.append {
        line.push(' ');
        line += extra;
    }
    line
}

fn split(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// The files of a kernel's program, for their numbers.
pub(super) fn files(spec: &Spec) -> Result<Vec<(OwnedFd, i32)>, Lost> {
    let files = [(&spec.elf, fd::KERNEL), (&spec.initramfs, fd::INITRAMFS)];
    let open = files.map(|(path, number)| match File::open(path) {
        Ok(file) => Ok((file.into(), number)),
        Err(error) => Err(Lost::before_it_ran(format!(
            "cannot open {}: {error}",
            path.display()
        ))),
    });
    open.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lxc_guest::protocol::Layout;

    #[test]
    fn a_kernels_command_line() {
        let spec = Spec {
            append: vec!["apparmor=0".to_owned()],
            ..Spec::new("/k/linux".into(), "/k/i".into(), Layout::V2, "/s".into())
        };
        let shown = |root| {
            let words = argv(&spec, root);
            let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
            words.join(" ")
        };
        let kernel = "sh -c \"$@\"; exit $? sh /proc/self/fd/4 mem=512M initrd=/proc/self/fd/5 con=null con0=null,fd:6 \
             ssl=null ssl0=fd:3 uml_dir=/proc/self/fdinfo/ quiet panic=-1 lxc.port=/dev/ttyS0 lxc.cgroup=v2 \
             cgroup_no_v1=all apparmor=0";
        assert_eq!(
            shown(true),
            format!(
                "unshare --pid --fork --kill-child=KILL setpriv --pdeathsig KILL --no-new-privs --reuid=65534 \
                 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all {kernel}"
            )
        );
        assert_eq!(
            shown(false),
            format!(
                "unshare --user --map-current-user --pid --fork --kill-child=KILL setpriv --pdeathsig KILL \
                 --no-new-privs {kernel}"
            )
        );
    }
}
