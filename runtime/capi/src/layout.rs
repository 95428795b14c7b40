//! The structures of the headers, field by field.
//!
//! Clients were compiled against these offsets; the assertions below refuse to compile anything else. A
//! `bool` that C writes is a `u8` here: only C promises that it is 0 or 1.

use crate::argument::{Handle, In, Out, Text, Words};
use libc::{c_char, c_int, c_long, c_uint, c_ulong, c_void, gid_t, pid_t, uid_t};
use std::mem::offset_of;

/// A function that is run inside a container.
pub type AttachFunction = extern "C" fn(*mut c_void) -> c_int;

type Asks<T> = extern "C" fn(Handle) -> T;
type AsksOne<T, A> = extern "C" fn(Handle, A) -> T;
type AsksTwo<T, A, B> = extern "C" fn(Handle, A, B) -> T;

/// A container as C sees it.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct lxc_container {
    pub name: *mut c_char,
    pub configfile: *mut c_char,
    pub pidfile: *mut c_char,
    pub slock: *mut c_void,
    pub privlock: *mut c_void,
    pub numthreads: c_int,
    pub lxc_conf: *mut c_void,
    pub error_string: *mut c_char,
    pub error_num: c_int,
    pub daemonize: u8,
    pub config_path: *mut c_char,
    pub is_defined: Asks<bool>,
    pub state: Asks<*const c_char>,
    pub is_running: Asks<bool>,
    pub freeze: Asks<bool>,
    pub unfreeze: Asks<bool>,
    pub init_pid: Asks<pid_t>,
    pub load_config: AsksOne<bool, Text>,
    pub start: AsksTwo<bool, c_int, Words>,
    pub startl: unsafe extern "C" fn(Handle, c_int, ...) -> bool,
    pub stop: Asks<bool>,
    pub want_daemonize: AsksOne<bool, u8>,
    pub want_close_all_fds: AsksOne<bool, u8>,
    pub config_file_name: Asks<*mut c_char>,
    pub wait: AsksTwo<bool, Text, c_int>,
    pub set_config_item: AsksTwo<bool, Text, Text>,
    pub destroy: Asks<bool>,
    pub save_config: AsksOne<bool, Text>,
    pub create: extern "C" fn(Handle, Text, Text, In<bdev_specs>, c_int, Words) -> bool,
    pub createl: unsafe extern "C" fn(Handle, Text, Text, In<bdev_specs>, c_int, ...) -> bool,
    pub rename: AsksOne<bool, Text>,
    pub reboot: Asks<bool>,
    pub shutdown: AsksOne<bool, c_int>,
    pub clear_config: Asks<()>,
    pub clear_config_item: AsksOne<bool, Text>,
    pub get_config_item: extern "C" fn(Handle, Text, Out<c_char>, c_int) -> c_int,
    pub get_running_config_item: AsksOne<*mut c_char, Text>,
    pub get_keys: extern "C" fn(Handle, Text, Out<c_char>, c_int) -> c_int,
    pub get_interfaces: Asks<*mut *mut c_char>,
    pub get_ips: extern "C" fn(Handle, Text, Text, c_int) -> *mut *mut c_char,
    pub get_cgroup_item: extern "C" fn(Handle, Text, Out<c_char>, c_int) -> c_int,
    pub set_cgroup_item: AsksTwo<bool, Text, Text>,
    pub get_config_path: Asks<*const c_char>,
    pub set_config_path: AsksOne<bool, Text>,
    pub clone: extern "C" fn(Handle, Text, Text, c_int, Text, Text, u64, Words) -> Handle,
    pub console_getfd: AsksTwo<c_int, Out<c_int>, Out<c_int>>,
    pub console: extern "C" fn(Handle, c_int, c_int, c_int, c_int, c_int) -> c_int,
    pub attach: extern "C" fn(
        Handle,
        Option<AttachFunction>,
        *mut c_void,
        In<lxc_attach_options_t>,
        Out<pid_t>,
    ) -> c_int,
    pub attach_run_wait: extern "C" fn(Handle, In<lxc_attach_options_t>, Text, Words) -> c_int,
    pub attach_run_waitl:
        unsafe extern "C" fn(Handle, In<lxc_attach_options_t>, Text, Text, ...) -> c_int,
    pub snapshot: AsksOne<c_int, Text>,
    pub snapshot_list: AsksOne<c_int, Out<*mut lxc_snapshot>>,
    pub snapshot_restore: AsksTwo<bool, Text, Text>,
    pub snapshot_destroy: AsksOne<bool, Text>,
    pub may_control: Asks<bool>,
    pub add_device_node: AsksTwo<bool, Text, Text>,
    pub remove_device_node: AsksTwo<bool, Text, Text>,
    pub attach_interface: AsksTwo<bool, Text, Text>,
    pub detach_interface: AsksTwo<bool, Text, Text>,
    pub checkpoint: extern "C" fn(Handle, Text, u8, u8) -> bool,
    pub restore: AsksTwo<bool, Text, u8>,
    pub destroy_with_snapshots: Asks<bool>,
    pub snapshot_destroy_all: Asks<bool>,
    pub migrate: extern "C" fn(Handle, c_uint, Out<migrate_opts>, c_uint) -> c_int,
    pub console_log: AsksOne<c_int, Out<lxc_console_log>>,
    pub reboot2: AsksOne<bool, c_int>,
    pub mount: extern "C" fn(Handle, Text, Text, Text, c_ulong, Text, *const c_void) -> c_int,
    pub umount: extern "C" fn(Handle, Text, c_ulong, *const c_void) -> c_int,
    pub seccomp_notify_fd: Asks<c_int>,
    pub seccomp_notify_fd_active: Asks<c_int>,
    pub init_pidfd: Asks<c_int>,
    pub devpts_fd: Asks<c_int>,
    pub rcv_timeout: c_int,
    pub set_timeout: AsksOne<bool, c_int>,
}

/// A snapshot, its texts malloc'd.
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub struct lxc_snapshot {
    pub name: *mut c_char,
    pub comment_pathname: *mut c_char,
    pub timestamp: *mut c_char,
    pub lxcpath: *mut c_char,
    pub free: extern "C" fn(Out<lxc_snapshot>),
}

/// What storage is made of. The caller's object may be one field longer; nothing says so.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct bdev_specs {
    pub fstype: Text,
    pub fssize: u64,
    pub zfsroot: Text,
    pub vg: Text,
    pub lv: Text,
    pub thinpool: Text,
    pub dir: Text,
    pub rbdname: Text,
    pub rbdpool: Text,
}

/// Arguments of migrate().
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub struct migrate_opts {
    pub directory: Text,
    pub verbose: u8,
    pub stop: u8,
    pub predump_dir: Text,
    pub pageserver_address: Text,
    pub pageserver_port: Text,
    pub preserves_inodes: u8,
    pub action_script: Text,
    pub disable_skip_in_flight: u8,
    pub ghost_limit: u64,
    pub features_to_check: u64,
}

/// Argument and result of console_log().
#[repr(C)]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
pub struct lxc_console_log {
    pub clear: u8,
    pub read: u8,
    pub read_max: Out<u64>,
    pub data: *mut c_char,
}

/// Argument of lxc_log_init().
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct lxc_log {
    pub name: Text,
    pub lxcpath: Text,
    pub file: Text,
    pub level: Text,
    pub prefix: Text,
    pub quiet: u8,
}

/// How something is run inside.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct lxc_attach_options_t {
    pub attach_flags: c_int,
    pub namespaces: c_int,
    pub personality: c_long,
    pub initial_cwd: Text,
    pub uid: uid_t,
    pub gid: gid_t,
    pub env_policy: c_int,
    pub extra_env_vars: Words,
    pub extra_keep_env: Words,
    pub stdin_fd: c_int,
    pub stdout_fd: c_int,
    pub stderr_fd: c_int,
    pub log_fd: c_int,
    pub lsm_label: Text,
    pub groups_size: usize,
    pub groups_list: *const gid_t,
}

/// Payload of lxc_attach_run_command().
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct lxc_attach_command_t {
    pub program: Text,
    pub argv: Words,
}

/// A circular list; the head holds no element.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct lxc_list {
    pub elem: *mut c_void,
    pub next: *mut lxc_list,
    pub prev: *mut lxc_list,
}

/// Asserts the size of a structure and where its fields lie.
macro_rules! lies {
    ($type:ty, $size:literal: $($field:ident $offset:literal),* $(,)?) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };
    };
}

#[cfg(target_pointer_width = "64")]
mod offsets {
    use super::*;

    lies!(lxc_container, 584:
        name 0, configfile 8, pidfile 16, slock 24, privlock 32, numthreads 40, lxc_conf 48,
        error_string 56, error_num 64, daemonize 68, config_path 72, is_defined 80, state 88,
        is_running 96, freeze 104, unfreeze 112, init_pid 120, load_config 128, start 136,
        startl 144, stop 152, want_daemonize 160, want_close_all_fds 168, config_file_name 176,
        wait 184, set_config_item 192, destroy 200, save_config 208, create 216, createl 224,
        rename 232, reboot 240, shutdown 248, clear_config 256, clear_config_item 264,
        get_config_item 272, get_running_config_item 280, get_keys 288, get_interfaces 296,
        get_ips 304, get_cgroup_item 312, set_cgroup_item 320, get_config_path 328,
        set_config_path 336, clone 344, console_getfd 352, console 360, attach 368,
        attach_run_wait 376, attach_run_waitl 384, snapshot 392, snapshot_list 400,
        snapshot_restore 408, snapshot_destroy 416, may_control 424, add_device_node 432,
        remove_device_node 440, attach_interface 448, detach_interface 456, checkpoint 464,
        restore 472, destroy_with_snapshots 480, snapshot_destroy_all 488, migrate 496,
        console_log 504, reboot2 512, mount 520, umount 528, seccomp_notify_fd 536,
        seccomp_notify_fd_active 544, init_pidfd 552, devpts_fd 560, rcv_timeout 568,
        set_timeout 576,
    );
    lies!(lxc_snapshot, 40: name 0, comment_pathname 8, timestamp 16, lxcpath 24, free 32);
    lies!(bdev_specs, 72:
        fstype 0, fssize 8, zfsroot 16, vg 24, lv 32, thinpool 40, dir 48, rbdname 56, rbdpool 64);
    lies!(migrate_opts, 80:
        directory 0, verbose 8, stop 9, predump_dir 16, pageserver_address 24, pageserver_port 32,
        preserves_inodes 40, action_script 48, disable_skip_in_flight 56, ghost_limit 64,
        features_to_check 72);
    lies!(lxc_console_log, 24: clear 0, read 1, read_max 8, data 16);
    lies!(lxc_log, 48: name 0, lxcpath 8, file 16, level 24, prefix 32, quiet 40);
    lies!(lxc_attach_options_t, 96:
        attach_flags 0, namespaces 4, personality 8, initial_cwd 16, uid 24, gid 28, env_policy 32,
        extra_env_vars 40, extra_keep_env 48, stdin_fd 56, stdout_fd 60, stderr_fd 64, log_fd 68,
        lsm_label 72, groups_size 80, groups_list 88);
    lies!(lxc_attach_command_t, 16: program 0, argv 8);
    lies!(lxc_list, 24: elem 0, next 8, prev 16);
}
