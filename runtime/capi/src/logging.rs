//! The log.

use crate::argument::In;
use crate::layout::lxc_log;
use crate::refusal::{Refusal, code, global, guarded};
use libc::c_int;
use lxc_runtime::log::LogOptions;

/// The first word of each line unless a program names itself.
const PREFIX: &str = "lxc";

/// Begins to log.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_log_init(log: In<lxc_log>) -> c_int {
    global(code, || {
        let Some(log) = log.get() else {
            return Err(Refusal::invalid("there is no struct lxc_log"));
        };
        let begun = lxc_runtime::log::init(&LogOptions {
            name: log.name.get("the container's name")?,
            lxcpath: log.lxcpath.get("the directory of containers")?,
            file: log.file.get("the log's file")?,
            level: log.level.get("the log's level")?,
            prefix: log.prefix.get("the log's prefix")?.unwrap_or(PREFIX),
            quiet: log.quiet != 0,
        });
        begun.map_err(|error| Refusal::from(error).coded(-1))?;
        Ok(0)
    })
}

/// Ends it.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_log_close() {
    // Nothing can be told to anybody.
    let _ = guarded(|| {
        lxc_runtime::log::close();
        Ok(())
    });
}

/// LXC's own log keeps its thread's container here, and inline functions of its headers, compiled into
/// some of its programs and tests, read it. Always NULL; nothing else may be done with it in Rust.
///
/// What stands in .tbss is a thread's own for the assembler, so the symbol becomes STT_TLS, as those
/// programs need. rust-lld, which is the linker here, exports it; GNU ld would refuse.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".tbss")]
#[allow(non_upper_case_globals)]
pub static current_config: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
