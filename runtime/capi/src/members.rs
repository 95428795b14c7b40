//! Which function is which member.

use crate::argument::{Handle, In, Text};
use crate::layout::{bdev_specs, lxc_attach_options_t, lxc_container};
use crate::{
    attach, cgroup, configuration, console, copy, create, migrate, network, resource, snapshot,
    start, state, stop,
};
use libc::c_int;
use std::ptr;

// src/variadic.c: each calls its sibling that takes an array.
unsafe extern "C" {
    fn lxc_door_startl(c: Handle, useinit: c_int, ...) -> bool;
    fn lxc_door_createl(
        c: Handle,
        t: Text,
        bdevtype: Text,
        specs: In<bdev_specs>,
        flags: c_int,
        ...
    ) -> bool;
    fn lxc_door_attach_run_waitl(
        c: Handle,
        options: In<lxc_attach_options_t>,
        program: Text,
        arg: Text,
        ...
    ) -> c_int;
}

/// An object of nobody's: all members, and no field.
pub const TABLE: lxc_container = lxc_container {
    name: ptr::null_mut(),
    configfile: ptr::null_mut(),
    pidfile: ptr::null_mut(),
    slock: ptr::null_mut(),
    privlock: ptr::null_mut(),
    numthreads: 0,
    lxc_conf: ptr::null_mut(),
    error_string: ptr::null_mut(),
    error_num: 0,
    daemonize: 0,
    config_path: ptr::null_mut(),
    is_defined: state::is_defined,
    state: state::state,
    is_running: state::is_running,
    freeze: state::freeze,
    unfreeze: state::unfreeze,
    init_pid: state::init_pid,
    load_config: configuration::load_config,
    start: start::start,
    startl: lxc_door_startl,
    stop: stop::stop,
    want_daemonize: start::want_daemonize,
    want_close_all_fds: start::want_close_all_fds,
    config_file_name: configuration::config_file_name,
    wait: state::wait,
    set_config_item: configuration::set_config_item,
    destroy: create::destroy,
    save_config: configuration::save_config,
    create: create::create,
    createl: lxc_door_createl,
    rename: copy::rename,
    reboot: stop::reboot,
    shutdown: stop::shutdown,
    clear_config: configuration::clear_config,
    clear_config_item: configuration::clear_config_item,
    get_config_item: configuration::get_config_item,
    get_running_config_item: configuration::get_running_config_item,
    get_keys: configuration::get_keys,
    get_interfaces: network::get_interfaces,
    get_ips: network::get_ips,
    get_cgroup_item: cgroup::get_cgroup_item,
    set_cgroup_item: cgroup::set_cgroup_item,
    get_config_path: configuration::get_config_path,
    set_config_path: configuration::set_config_path,
    clone: copy::clone,
    console_getfd: console::console_getfd,
    console: console::console,
    attach: attach::attach,
    attach_run_wait: attach::attach_run_wait,
    attach_run_waitl: lxc_door_attach_run_waitl,
    snapshot: snapshot::snapshot,
    snapshot_list: snapshot::snapshot_list,
    snapshot_restore: snapshot::snapshot_restore,
    snapshot_destroy: snapshot::snapshot_destroy,
    may_control: state::may_control,
    add_device_node: resource::add_device_node,
    remove_device_node: resource::remove_device_node,
    attach_interface: network::attach_interface,
    detach_interface: network::detach_interface,
    checkpoint: migrate::checkpoint,
    restore: migrate::restore,
    destroy_with_snapshots: create::destroy_with_snapshots,
    snapshot_destroy_all: snapshot::snapshot_destroy_all,
    migrate: migrate::migrate,
    console_log: console::console_log,
    reboot2: stop::reboot2,
    mount: resource::mount,
    umount: resource::umount,
    seccomp_notify_fd: state::seccomp_notify_fd,
    seccomp_notify_fd_active: state::seccomp_notify_fd_active,
    init_pidfd: state::init_pidfd,
    devpts_fd: state::devpts_fd,
    rcv_timeout: 0,
    set_timeout: state::set_timeout,
};
