//! Templates that are part of this program, run by `lxc-create` like any other template.

pub mod busybox;
mod rootfs;
