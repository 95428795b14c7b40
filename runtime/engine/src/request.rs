//! What a caller asks of the monitor program, as it travels: a sealed memfd that begins with a
//! magic number and the build it was made by.

use crate::failure::{Failure, FailureKind};
use lxc_config::{Assignment, Config, Origin};
use lxc_kernel::{Result, fd};
use serde::{Deserialize, Serialize};
use std::os::fd::{BorrowedFd, OwnedFd};

/// First bytes of every request.
const MAGIC: &[u8; 8] = b"lxc-rt\0\x01";

/// Names the build, so that a monitor never misreads the request of another version.
pub fn build_id() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), "+", env!("LXC_BUILD_ID"))
}

/// What the program is asked to be.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// A container's monitor.
    Monitor(MonitorRequest),
    /// The helper of one attach.
    Attach(crate::attach::HelperRequest),
}

/// A start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MonitorRequest {
    /// Container.
    pub name: String,
    /// Directory of all containers.
    pub lxcpath: String,
    /// File the configuration came from, for hooks (LXC_CONFIG_FILE).
    pub config_file: String,
    /// The configuration: every line that took effect.
    pub config: Vec<ConfigLine>,
    /// Program and arguments; empty = configured.
    pub argv: Vec<String>,
    /// lxc-execute.
    pub mini_init: bool,
    /// Stay in the foreground.
    pub foreground: bool,
    /// The monitor is the caller's own process: failures are printed, not reported.
    pub in_place: bool,
    /// Where the monitor's pid is written.
    pub pidfile: Option<String>,
    /// The installation's mount point for a rootfs.
    pub default_mount_point: Option<String>,
    /// The installation's file of AppArmor profiles.
    pub default_profiles: Option<String>,
    /// The caller's login name, if the configuration has id maps: the monitor has no name services.
    pub login: Option<String>,
    /// The installation's `lxc.cgroup.pattern`.
    pub cgroup_pattern: Option<String>,
    /// The installation's `lxc.cgroup.use`.
    pub cgroup_use: Option<String>,
    /// Where log lines go.
    pub log: LogTarget,
}

/// Where log lines go, and which.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LogTarget {
    /// File, opened for appending.
    pub file: Option<String>,
    /// Least level written, 0 (TRACE) to 8 (FATAL).
    pub level: u8,
    /// First word of each line: the tool's name.
    pub prefix: String,
    /// Nothing on stderr.
    pub quiet: bool,
}

/// One assignment as it travels; `file` empty = set by the caller.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigLine {
    key: String,
    value: String,
    file: String,
    line: u32,
}

impl MonitorRequest {
    /// Takes the configuration's lines along.
    pub fn carry(config: &Config) -> Vec<ConfigLine> {
        let line = |a: &Assignment| {
            let (file, line) = match &a.origin {
                Origin::File { file, line } => (file.to_string(), *line),
                Origin::Api => (String::new(), 0),
            };
            ConfigLine {
                key: a.key.clone(),
                value: a.value.clone(),
                file,
                line,
            }
        };
        config.assignments().iter().map(line).collect()
    }

    /// The configuration again.
    ///
    /// # Errors
    /// Only if the sender's key table differs from ours, which the build id rules out.
    pub fn configuration(&self) -> std::result::Result<Config, Failure> {
        let mut last: Option<std::sync::Arc<str>> = None;
        let lines = self.config.iter().map(|l| {
            let origin = if l.file.is_empty() {
                Origin::Api
            } else {
                // Most lines share a file: one allocation serves them.
                let file = match &last {
                    Some(file) if **file == *l.file => file.clone(),
                    _ => std::sync::Arc::from(l.file.as_str()),
                };
                last = Some(file.clone());
                Origin::File { file, line: l.line }
            };
            Assignment {
                key: l.key.clone(),
                value: l.value.clone(),
                origin,
            }
        });
        Config::replay(lines).map_err(|d| Failure::new(FailureKind::Mismatch, d.to_string()))
    }
}

impl Request {
    /// Packs the request into a sealed memfd.
    pub fn pack(&self) -> Result<OwnedFd> {
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(MAGIC);
        bytes.push(build_id().len() as u8);
        bytes.extend_from_slice(build_id().as_bytes());
        let bytes = postcard::to_extend(self, bytes).map_err(|_| {
            lxc_kernel::SysError::new("message", "encode request", lxc_kernel::Errno::BADMSG)
        })?;
        fd::memfd_sealed("lxc-request", &bytes)
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// A sentence when it is not ours or of another build.
    pub fn unpack(memfd: BorrowedFd<'_>) -> std::result::Result<Request, Failure> {
        let mismatch = |what: &str| {
            Failure::new(
                FailureKind::Mismatch,
                format!("the request to the monitor {what}"),
            )
            .hint("restart the program that uses liblxc: the library was upgraded under it")
        };
        let bytes = fd::read_memfd(memfd).map_err(|e| mismatch("cannot be read").caused_by(&e))?;
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| mismatch("is not one"))?;
        let (length, rest) = rest.split_first().ok_or_else(|| mismatch("is cut short"))?;
        if rest.len() < *length as usize {
            return Err(mismatch("is cut short"));
        }
        let (id, rest) = rest.split_at(*length as usize);
        if id != build_id().as_bytes() {
            let theirs = String::from_utf8_lossy(id);
            return Err(mismatch(&format!(
                "is of build {theirs}, the monitor of {}",
                build_id()
            )));
        }
        postcard::from_bytes(rest).map_err(|_| mismatch("is damaged"))
    }
}
