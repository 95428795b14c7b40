//! Where the library differs from LXC 5.0.2's on purpose, and why.

/// A difference that has a reason.
pub struct Accepted {
    /// The fact, or the beginning of several with a * behind it.
    pub fact: &'static str,
    /// What the difference is.
    pub differs: Differs,
    /// Why it is there.
    pub reason: &'static str,
}

/// How two sides may differ.
pub enum Differs {
    /// We have it, they do not.
    OnlyOurs,
    /// They have it, we do not.
    OnlyTheirs,
    /// Ours, then theirs.
    Between(&'static str, &'static str),
}

use Differs::{Between, OnlyOurs, OnlyTheirs};

const fn row(fact: &'static str, differs: Differs, reason: &'static str) -> Accepted {
    Accepted {
        fact,
        differs,
        reason,
    }
}

const LEAKED: &str = "an internal that no header declares and no client imports";
const LATER_TOOLS: &str =
    "imported by the tools of LXC 7.0 when they are built against a shared library";
const SIX: &str = "the interface is that of LXC 6.0, which only adds at the end of structures";

pub const ACCEPTED: &[Accepted] = &[
    row("constant LXC_VERSION", Between("6.0.0", "5.0.2"), SIX),
    row("constant LXC_VERSION_ABI", Between("1.8.0", "1.7.0"), SIX),
    row("constant LXC_VERSION_MAJOR", Between("6", "5"), SIX),
    row("constant LXC_VERSION_MICRO", Between("0", "2"), SIX),
    row("field struct lxc_container.rcv_timeout", OnlyOurs, SIX),
    row("field struct lxc_container.set_timeout", OnlyOurs, SIX),
    row(
        "size struct lxc_container",
        Between("584 bytes", "568 bytes"),
        SIX,
    ),
    row("symbol __safe_mount_beneath_at", OnlyTheirs, LEAKED),
    row("symbol lxc_config_define_*", OnlyOurs, LATER_TOOLS),
    row("symbol lxc_config_parse_arch", OnlyOurs, LATER_TOOLS),
    row("symbol lxc_is_valid_storage_type", OnlyOurs, LATER_TOOLS),
    row("symbol lxc_log_category_*", OnlyTheirs, LEAKED),
    row("symbol lxc_log_fd", OnlyTheirs, LEAKED),
    row("symbol lxc_log_use_global_fd", OnlyTheirs, LEAKED),
    row("symbol lxc_network_info", OnlyTheirs, LEAKED),
    row("symbol mod_all_rdeps", OnlyTheirs, LEAKED),
];

impl Accepted {
    /// Whether the row is about this fact and this difference.
    pub fn covers(&self, fact: &str, ours: Option<&str>, theirs: Option<&str>) -> bool {
        let named = match self.fact.strip_suffix('*') {
            Some(beginning) => fact.starts_with(beginning),
            None => fact == self.fact,
        };
        let alike = match self.differs {
            OnlyOurs => theirs.is_none(),
            OnlyTheirs => ours.is_none(),
            Between(left, right) => ours == Some(left) && theirs == Some(right),
        };
        named && alike
    }

    /// Two lines for the table.
    pub fn shown(&self, count: usize) -> String {
        let what = match self.differs {
            OnlyOurs => "only ours".to_owned(),
            OnlyTheirs => "only theirs".to_owned(),
            Between(ours, theirs) => format!("{ours}, theirs {theirs}"),
        };
        let count = match count {
            1 => String::new(),
            count => format!(", {count} of them"),
        };
        format!("  {:<42} {what}{count}\n      {}\n", self.fact, self.reason)
    }
}
