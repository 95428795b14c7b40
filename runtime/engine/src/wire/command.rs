//! The numbers of the commands, in one table.

use std::fmt;

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal;)*) => {
        /// What a request asks for; the number is what travels on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Command {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Command {
            /// Every command, in the order of its number.
            pub const ALL: &'static [Command] = &[$(Command::$variant,)*];

            /// Gives the protocol's name, e.g. `GET_STATE`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Command::$variant => $name,)*
                }
            }
        }
    };
}

commands! {
    /// The master of a terminal of the container; the connection stays open while it is used.
    GetTty = 0 "GET_TTY_FD";
    /// Never used by any client.
    Winch = 1 "TERMINAL_WINCH";
    /// End the container; the answer is the end of the connection.
    Stop = 2 "STOP";
    /// The container's state.
    GetState = 3 "GET_STATE";
    /// The process id of the container's init.
    GetInitPid = 4 "GET_INIT_PID";
    /// The kinds of namespaces the container has of its own.
    GetCloneFlags = 5 "GET_CLONE_FLAGS";
    /// The path of the container's cgroup in one hierarchy.
    GetCgroup = 6 "GET_CGROUP";
    /// The value of a configuration key.
    GetConfigItem = 7 "GET_CONFIG_ITEM";
    /// The container's name.
    GetName = 8 "GET_NAME";
    /// The directory the container lives in.
    GetLxcpath = 9 "GET_LXCPATH";
    /// Tell me when one of these states is reached.
    AddStateClient = 10 "ADD_STATE_CLIENT";
    /// Read, clear or write out the console's ring buffer.
    ConsoleLog = 11 "CONSOLE_LOG";
    /// Enter a state and tell those who wait for it.
    ServeStateClients = 12 "SERVE_STATE_CLIENTS";
    /// Serve one more seccomp notification descriptor.
    SeccompAddListener = 13 "SECCOMP_NOTIFY_ADD_LISTENER";
    /// Add a rule to the device filter of a pure cgroup v2 host.
    AddDeviceRule = 14 "ADD_BPF_DEVICE_CGROUP";
    /// Freeze by the pure cgroup v2 freezer.
    Freeze = 15 "FREEZE";
    /// Thaw by the pure cgroup v2 freezer.
    Unfreeze = 16 "UNFREEZE";
    /// The directory of the container's cgroup on a pure cgroup v2 host.
    GetCgroup2Fd = 17 "GET_CGROUP2_FD";
    /// A pidfd of the container's init.
    GetInitPidfd = 18 "GET_INIT_PIDFD";
    /// As [`Command::GetCgroup`], for the cgroup that holds the limits.
    GetLimitCgroup = 19 "GET_LIMIT_CGROUP";
    /// As [`Command::GetCgroup2Fd`], for the cgroup that holds the limits.
    GetLimitCgroup2Fd = 20 "GET_LIMIT_CGROUP2_FD";
    /// The container's devpts mount.
    GetDevptsFd = 21 "GET_DEVPTS_FD";
    /// The container's seccomp notification descriptor.
    GetSeccompNotifyFd = 22 "GET_SECCOMP_NOTIFY_FD";
    /// Layout of the cgroups and a directory descriptor for each hierarchy.
    GetCgroupCtx = 23 "GET_CGROUP_CTX";
    /// A directory descriptor of one hierarchy.
    GetCgroupFd = 24 "GET_CGROUP_FD";
    /// As [`Command::GetCgroupFd`], for the cgroup that holds the limits.
    GetLimitCgroupFd = 25 "GET_LIMIT_CGROUP_FD";
    /// The systemd scope the container was started in.
    GetSystemdScope = 26 "GET_SYSTEMD_SCOPE";
}

impl Command {
    /// Gives the number that travels on the wire.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Gives the command of a number from the wire; `None` for one that LXC never gave out.
    pub fn from_number(number: u32) -> Option<Command> {
        usize::try_from(number)
            .ok()
            .and_then(|index| Command::ALL.get(index))
            .copied()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_dense() {
        assert_eq!(Command::ALL.len(), 27);
        for (number, command) in (0..).zip(Command::ALL) {
            assert_eq!(command.number(), number, "{command}");
            assert_eq!(Command::from_number(number), Some(*command));
        }
        assert_eq!(Command::from_number(27), None);
        assert_eq!(Command::from_number(u32::MAX), None);
    }
}
