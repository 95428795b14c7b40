//! API extensions: what a client may ask for by name, and what of it works.

/// One API extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: &'static str,
    /// Whether this build does all of what it promises.
    pub works: bool,
}

const fn yes(name: &'static str) -> Extension {
    Extension { name, works: true }
}

const fn no(name: &'static str) -> Extension {
    Extension { name, works: false }
}

/// All extensions there are, in the order in which LXC got them; the README's table says the same.
pub const EXTENSIONS: &[Extension] = &[
    yes("lxc_log"),
    yes("lxc_config_item_is_supported"),
    yes("console_log"),
    yes("reboot2"),
    no("mount_injection"),
    yes("cgroup_relative"),
    no("mount_injection_file"),
    yes("seccomp_allow_nesting"),
    no("seccomp_notify"),
    no("network_veth_routes"),
    no("network_ipvlan"),
    no("network_l2proxy"),
    yes("network_gateway_device_route"),
    no("network_phys_macvlan_mtu"),
    no("network_veth_router"),
    yes("cgroup2_devices"),
    yes("cgroup2"),
    yes("pidfd"),
    yes("cgroup_advanced_isolation"),
    no("network_bridge_vlan"),
    yes("time_namespace"),
    yes("seccomp_allow_deny_syntax"),
    yes("devpts_fd"),
    no("seccomp_notify_fd_active"),
    no("seccomp_proxy_send_notify_fd"),
    yes("idmapped_mounts"),
    yes("idmapped_mounts_v2"),
    yes("core_scheduling"),
    yes("cgroup2_auto_mounting"),
    yes("environment_runtime_hooks"),
    yes("init_pidfd"),
];

/// Whether the extension `name` (exact) works in this build.
pub fn has_extension(name: &str) -> bool {
    EXTENSIONS.iter().any(|e| e.works && e.name == name)
}
