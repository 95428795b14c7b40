//! What is special about some keys: grammars and text forms that only one area has.

pub(crate) mod capabilities;
pub(crate) mod cgroups;
pub(crate) mod devices;
pub(crate) mod general;
pub(crate) mod hooks;
pub(crate) mod idmap;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod named;
pub(crate) mod namespaces;
pub(crate) mod net;
pub(crate) mod net_address;
pub(crate) mod net_keys;
pub(crate) mod net_modes;
pub(crate) mod rootfs;
pub(crate) mod seccomp;
pub(crate) mod time;
