//! Checkpoint, restore, migrate.

use crate::argument::{Handle, Out, Text};
use crate::layout::migrate_opts;
use crate::object::member;
use crate::refusal::{Outcome, Refusal, code, no};
use libc::{c_int, c_uint};
use lxc_runtime::Container;
use std::mem::{MaybeUninit, offset_of};
use std::path::Path;

const PRE_DUMP: c_uint = 0;
const DUMP: c_uint = 1;
const RESTORE: c_uint = 2;
const FEATURE_CHECK: c_uint = 3;

pub extern "C" fn checkpoint(c: Handle, directory: Text, stop: u8, verbose: u8) -> bool {
    member(c, no, |object| {
        dump(&object.container(), directory, stop, verbose)?;
        Ok(true)
    })
}

pub extern "C" fn restore(c: Handle, directory: Text, verbose: u8) -> bool {
    member(c, no, |object| {
        restored(&object.container(), directory, verbose)?;
        Ok(true)
    })
}

pub extern "C" fn migrate(c: Handle, cmd: c_uint, opts: Out<migrate_opts>, size: c_uint) -> c_int {
    member(c, code, |object| {
        let options = as_known_here(opts, size as usize)?;
        let container = object.container();
        match cmd {
            FEATURE_CHECK => return check_features(opts, &options, size as usize),
            PRE_DUMP | DUMP => need_state(&container, true)?,
            RESTORE => need_state(&container, false)?,
            _ => {
                return Err(Refusal::invalid(format!(
                    "{cmd} is no command of migrate()"
                )));
            }
        }
        let done = match cmd {
            RESTORE => restored(&container, options.directory, options.verbose),
            PRE_DUMP => {
                let sentence = "checkpointing ahead is not implemented yet; nothing was done";
                Err(Refusal::new(libc::ENOSYS, sentence))
            }
            _ => dump(&container, options.directory, options.stop, options.verbose),
        };
        done.map(|()| 0).map_err(|refusal| refusal.coded(1))
    })
}

/// The caller's structure may be shorter, then the rest is zero; or longer, if it is zero there.
fn as_known_here(opts: Out<migrate_opts>, size: usize) -> Outcome<migrate_opts> {
    let known = size_of::<migrate_opts>();
    let given = match opts.is_null() {
        true => 0,
        false => size,
    };
    let bytes: *const u8 = opts.as_ptr().cast();
    // SAFETY: C passed a structure of this size.
    if (known..given).any(|at| unsafe { *bytes.add(at) } != 0) {
        let sentence = "options of migrate() are set that this version does not know";
        return Err(Refusal::new(libc::E2BIG, sentence));
    }
    let mut options = MaybeUninit::<migrate_opts>::zeroed();
    // SAFETY: both are as long as that; all zeros, and what C put there, are valid values.
    unsafe {
        if given > 0 {
            let to = options.as_mut_ptr().cast::<u8>();
            bytes.copy_to_nonoverlapping(to, given.min(known));
        }
        Ok(options.assume_init())
    }
}

/// Nothing can be checkpointed, so none of criu's features can be used.
fn check_features(opts: Out<migrate_opts>, options: &migrate_opts, size: usize) -> Outcome<c_int> {
    if options.features_to_check == 0 {
        return Ok(0);
    }
    if size >= offset_of!(migrate_opts, features_to_check) + size_of::<u64>() {
        // SAFETY: the field is within the caller's structure.
        unsafe { (&raw mut (*opts.as_ptr()).features_to_check).write(0) }
    }
    let sentence = "checkpointing is not implemented yet, and so are criu's features";
    Err(Refusal::absent(libc::ENOSYS, sentence).coded(1))
}

fn need_state(container: &Container, running: bool) -> Outcome<()> {
    if container.is_running()? == running {
        return Ok(());
    }
    let name = container.name();
    let (state, errno) = match running {
        true => ("is not running", libc::ECONNREFUSED),
        false => ("is running already", libc::EBUSY),
    };
    Err(Refusal::new(errno, format!("the container {name} {state}")).coded(-1))
}

fn dump(container: &Container, directory: Text, stop: u8, verbose: u8) -> Outcome<()> {
    let directory = directory.required("the directory of a checkpoint")?;
    Ok(container.checkpoint(Path::new(directory), stop != 0, verbose != 0)?)
}

fn restored(container: &Container, directory: Text, verbose: u8) -> Outcome<()> {
    let directory = directory.required("the directory of a checkpoint")?;
    Ok(container.restore(Path::new(directory), verbose != 0)?)
}
