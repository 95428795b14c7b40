//! What a user can do about a failed step: one place for every remedy.

use lxc_kernel::{Errno, SysError};
use lxc_plan::{SecurityModule, Step};

/// The remedy where a cgroup cannot be made or entered, in a step or before there are any.
pub const CGROUP_READ_ONLY: &str =
    "the cgroup hierarchy is not writable; remount it read-write or delegate it to this user";

/// The remedy where a process may not be moved into a cgroup of its own user.
pub const CGROUP_NOT_MOVABLE: &str = "the kernel moves a process only for who may write cgroup.procs of the cgroup above both places; \
     start from a delegated one ('systemd-run --user --scope -p Delegate=yes …')";

/// The remedy for `step` failing with `error`, when there is one worth saying.
pub fn hint(step: &Step, error: &SysError) -> Option<String> {
    let text = match (step, error.errno) {
        (Step::Exec(program), _) if program.cwd.is_some() && is_about_a_directory(error) => {
            "correct lxc.init.cwd: a directory inside the container".into()
        }
        (Step::Exec(program), Errno::NOENT) => format!(
            "{} is not in the container's rootfs, or its interpreter or libraries are missing there; \
             set lxc.init.cmd or name another program after '--'",
            program.argv[0]
        ),
        (Step::Exec(program), Errno::ACCESS) => {
            format!(
                "{} is not executable: 'chmod +x' it inside the rootfs",
                program.argv[0]
            )
        }
        (Step::Exec(program), Errno::NOEXEC) => format!(
            "{} is not a program of this machine's architecture, nor a script with '#!'",
            program.argv[0]
        ),
        (Step::CreateVeth(veth), Errno::NODEV) => match &veth.link {
            Some(bridge) => format!(
                "the bridge {bridge} does not exist; create it ('ip link add {bridge} type bridge') \
                 or correct lxc.net.{}.link",
                veth.index
            ),
            None => "the kernel has no veth devices (CONFIG_VETH)".into(),
        },
        (Step::CreateVeth(veth), Errno::EXIST) => format!(
            "an interface of that name exists already; choose another lxc.net.{}.veth.pair",
            veth.index
        ),
        (Step::CreateVeth(veth), Errno::INVAL) if veth.link.is_some() => format!(
            "{} is not a bridge that takes ports; name a Linux bridge",
            veth.link.as_deref().unwrap_or_default()
        ),
        (
            Step::CreateCgroup { .. } | Step::CreateInnerCgroup { .. },
            Errno::ROFS | Errno::ACCESS,
        ) => CGROUP_READ_ONLY.into(),
        (Step::EnterCgroup { .. }, Errno::ACCESS | Errno::PERM) => CGROUP_NOT_MOVABLE.into(),
        (Step::CreateCgroup { .. } | Step::CreateInnerCgroup { .. }, Errno::NOTDIR) => {
            "a file of the kernel has that name; choose another".into()
        }
        (Step::CreateCgroup { .. }, Errno::RANGE) => {
            "a thousand cgroups of this name exist; remove those that are empty".into()
        }
        (Step::CreateCgroup { .. }, Errno::NOSPC | Errno::AGAIN) => {
            "the number of cgroups is limited (cgroup.max.descendants); raise the limit".into()
        }
        (Step::LimitCgroup { file, .. } | Step::LimitDevice { file, .. }, Errno::NOENT) => {
            format!(
                "the kernel has no file {file} in this cgroup: correct the name, or, on v2, start from a \
                 cgroup that hands its controllers down (one without processes of its own)"
            )
        }
        (Step::LimitCgroup { .. } | Step::LimitDevice { .. }, Errno::INVAL | Errno::RANGE) => {
            "the kernel does not take this value; see its cgroup documentation for the file".into()
        }
        (Step::ShiftRootfs { .. } | Step::Mount(_), Errno::INVAL)
            if error.call == "mount_setattr" =>
        {
            "the filesystem there, or one mounted below it, does not take shifted ids on this kernel; give \
             the files to the ids of lxc.idmap (chown) and leave idmap= out"
                .into()
        }
        (Step::Mount(mount), Errno::INVAL) if error.call == "open_tree" => format!(
            "something is mounted below {} on the host, which a container with lxc.idmap may not uncover: \
             write rbind instead of bind",
            mount.entry.source
        ),
        (Step::Mount(mount), Errno::NOENT) if error.call == "open_tree" => format!(
            "{} does not exist on the host; create it, or add 'optional' to go on without",
            mount.entry.source
        ),
        (Step::Mount(mount), Errno::NOENT) => format!(
            "{} does not exist inside the rootfs; add 'create=dir' (or create=file) to make it, or \
             'optional' to go on without",
            mount.shown()
        ),
        (Step::Mount(mount), Errno::INVAL) if mount.entry.options.moves => format!(
            "only a mount can be moved: {} is none, or it belongs to another user namespace; use bind",
            mount.entry.source
        ),
        (Step::Mount(mount), Errno::PERM) if mount.entry.options.bind.is_some() => format!(
            "{} is restricted for user namespaces: leave out the words that would lift that (dev, or \
             another access time)",
            mount.entry.source
        ),
        (Step::Mount(mount), Errno::INVAL | Errno::NOTDIR)
            if mount.entry.options.bind.is_some() =>
        {
            format!(
                "a directory goes onto a directory, anything else onto a file: compare {} and the target {}",
                mount.entry.source,
                mount.shown()
            )
        }
        (Step::Mount(mount), Errno::LOOP) => format!(
            "the target {} is a link, or lies behind links, that cannot be followed inside the rootfs; \
             remove it there",
            mount.shown()
        ),
        (Step::Mount(mount), Errno::BUSY) => format!(
            "the target {} is the rootfs itself; name a directory below it, or set lxc.rootfs.path",
            mount.shown()
        ),
        (Step::Mount(mount), Errno::XDEV) => format!(
            "the target {} leads through a link inside the rootfs to its proc or sysfs, which only an \
             entry that names it covers; remove the link there, or write the target as proc/… or sys/…",
            mount.shown()
        ),
        (Step::Mount(mount), Errno::NODEV) => {
            format!(
                "the kernel has no filesystem '{}'; load its module",
                mount.entry.fstype
            )
        }
        (Step::MountRootfs { .. }, Errno::BUSY) => {
            "a mount below the rootfs is hidden by another and \
            cannot be restricted on this kernel (before 5.12); unmount one of them"
                .into()
        }
        (Step::MountRootfs { target, .. }, Errno::NOENT) => {
            format!("create the mount point ('mkdir -p {target}') or set lxc.rootfs.mount")
        }
        (
            Step::MountProc { .. } | Step::MountSys(_) | Step::MountDev { .. },
            Errno::LOOP | Errno::NOTDIR,
        ) => "the directory is a link or a file inside the rootfs; it must be a real directory"
            .into(),
        (
            Step::MountDevpts { .. } | Step::PopulateDev | Step::LinkDev | Step::SetUpTerminals(_),
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR,
        ) => "the rootfs has a link there, or something else of the wrong kind; remove it, or set \
              lxc.autodev = 1"
            .into(),
        (Step::PinRootfs { path }, Errno::ACCESS | Errno::PERM) => {
            format!("make {path} writable for the user who starts the container")
        }
        (Step::CompileSeccomp { path }, Errno::NOENT) => {
            format!("create {path}, or remove lxc.seccomp.profile")
        }
        (Step::OpenConsoleLog { path, .. }, Errno::PERM) => {
            format!("remove {path}, or give it to the user who starts the container")
        }
        (Step::KeepConsole { .. }, _) => "choose a smaller lxc.console.buffer.size".into(),
        (Step::OpenConsoleLog { .. }, _) => {
            "name a regular file in a directory that exists and is writable".into()
        }
        (Step::SetLabel(label), errno) if hint_of_label(label.module, errno).is_some() => {
            hint_of_label(label.module, errno)?.into()
        }
        (Step::ConfirmLabel(_), Errno::BADMSG) => {
            "the kernel took the label and did not apply it; see the kernel log".into()
        }
        (Step::WriteIdmap(_), Errno::PERM | Errno::INVAL) => {
            "the ids must be mapped where this monitor runs (/proc/self/uid_map, gid_map); more than its own \
             ids are mapped by root, or by newuidmap and newgidmap (package uidmap)"
                .into()
        }
        (Step::MountRootfs { source, .. }, Errno::ACCESS) => format!(
            "the container's root may not search every directory down to {source}: see \
             'namei -l {source}', and add x ('chmod o+x' or 'setfacl -m u:ID:x')"
        ),
        (Step::MountProc { .. } | Step::MountSys(_), Errno::PERM) => {
            "a user namespace sees no more of proc and sysfs than its maker: parts of the host's are \
             covered, or, for sysfs, its network is the host's; take the word out of lxc.mount.auto"
                .into()
        }
        (Step::NewTimeNamespace(_), Errno::RANGE | Errno::INVAL) => {
            "no clock can stand before its zero, nor some centuries after it: correct \
             lxc.time.offset.boot and lxc.time.offset.monotonic"
                .into()
        }
        (Step::NewTimeNamespace(_), Errno::NOSPC) => {
            "/proc/sys/user/max_time_namespaces is reached; raise it".into()
        }
        (Step::WriteSysctl { path, .. }, Errno::NOENT) => format!(
            "the container's network has no such parameter or device; see /proc/sys/{path} inside"
        ),
        (Step::WriteSysctl { .. }, Errno::INVAL | Errno::RANGE) => {
            "the kernel does not take this value; see sysctl(8) for the parameter".into()
        }
        (Step::WriteSysctl { .. }, Errno::PERM | Errno::ACCESS) => {
            "the parameter is the whole machine's and read-only to this container's user namespace; \
             set it on the host"
                .into()
        }
        (Step::WriteProcFile { .. }, Errno::INVAL | Errno::RANGE) => {
            "the kernel does not take this value; see proc(5) for the file".into()
        }
        (Step::LimitResource(limit), Errno::PERM) => format!(
            "{} may be raised only by root, and never above /proc/sys/fs/nr_open (nofile)",
            limit.name
        ),
        (Step::NewKeyring, Errno::DQUOT) => {
            "this user has as many keys as /proc/sys/kernel/keys allows; raise maxkeys, or set \
             lxc.keyring.session = 1"
                .into()
        }
        (Step::NewKeyring, _) => {
            "lxc.keyring.session = 1 goes on with the keyring of whoever starts the container".into()
        }
        (Step::NewSchedulingCookie, Errno::INVAL) => {
            "this kernel has no core scheduling (Linux 5.14, CONFIG_SCHED_CORE); remove lxc.sched.core"
                .into()
        }
        (Step::CloneGuest { .. }, Errno::PERM) => {
            "creating namespaces needs root, or lxc.idmap lines for the ids granted to this user; and \
             user namespaces must be allowed (sysctl user.max_user_namespaces)"
                .into()
        }
        (Step::CloneGuest { .. }, Errno::NOSPC) => {
            "a limit in /proc/sys/user/max_*_namespaces is reached; raise it".into()
        }
        (Step::CloneGuest { .. }, Errno::INVAL) => {
            "the kernel lacks one of these namespaces; see lxc-checkconfig".into()
        }
        (_, Errno::PERM | Errno::ACCESS) => {
            "permission is missing; start the container as root".into()
        }
        (_, Errno::NOSPC) => "no space is left there".into(),
        _ => return None,
    };
    Some(text)
}

/// The remedy for a label that cannot be taken.
pub fn hint_of_label(module: SecurityModule, errno: Errno) -> Option<&'static str> {
    match (module, errno) {
        (SecurityModule::Apparmor, Errno::NOENT) => Some(
            "no profile of that name is loaded ('cat /sys/kernel/security/apparmor/profiles'); load the \
             file that has it ('apparmor_parser -r FILE')",
        ),
        (SecurityModule::Apparmor, Errno::ACCESS | Errno::PERM) => Some(
            "the profile that the calling program runs under does not let it change to another; start \
             from an unconfined program, or see the kernel log",
        ),
        (SecurityModule::Selinux, Errno::INVAL) => {
            Some("the loaded policy knows no such context; correct it ('seinfo -t' lists types)")
        }
        (SecurityModule::Selinux, Errno::ACCESS | Errno::PERM) => {
            Some("the policy does not allow the transition; see the audit log ('ausearch -m avc')")
        }
        _ => None,
    }
}

/// On the way to an execution only the directory that it begins in is made and entered.
fn is_about_a_directory(error: &SysError) -> bool {
    ["mkdirat", "openat", "openat2", "fchdir"].contains(&error.call)
}
