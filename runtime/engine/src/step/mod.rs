//! The steps of a start, one function each. Steps do not know each other; what one leaves for a
//! later one lies in the world it was given.

pub mod cgroup;
pub mod cgroup_view;
pub mod dev;
pub mod devices;
pub mod identity;
pub mod idmap;
pub mod idmapped_mount;
pub mod label;
pub mod leftovers;
pub mod mounts;
pub mod network;
pub mod rootfs;
pub mod settings;
pub mod survivors;
pub mod terminals;
