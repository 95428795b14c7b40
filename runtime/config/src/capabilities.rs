//! Names of capabilities as `lxc.cap.*` takes them.

/// Names without `CAP_`, lower case; the index is the kernel's number.
pub const NAMES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Highest number the kernel's interface has room for; what the running kernel knows is less.
pub const HIGHEST: u32 = 63;

/// The kernel's number of the capability `name`; `None` when there is none of that name.
pub fn number(name: &str) -> Option<u32> {
    NAMES
        .iter()
        .position(|known| *known == name)
        .map(|index| index as u32)
}

/// The name of capability `number`; `None` for numbers without a name.
pub fn name(number: u32) -> Option<&'static str> {
    NAMES.get(number as usize).copied()
}
