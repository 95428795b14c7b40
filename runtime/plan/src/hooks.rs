//! Which hook runs when, and with what.

use lxc_config::Located;

/// The moments LXC has hooks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookKind {
    /// Host, before everything: may create the rootfs, the fstab, the bridge.
    PreStart,
    /// Guest's mount namespace, before the rootfs is mounted.
    PreMount,
    /// Guest's mount namespace, after all mounts, before the root switch.
    Mount,
    /// As `Mount`, with /dev mounted and not yet populated.
    Autodev,
    /// Host, the guest being set up and not yet executed.
    StartHost,
    /// Inside, just before exec.
    Start,
    /// Host, init has ended.
    Stop,
    /// Host, everything is gone.
    PostStop,
    /// Host, before a container is removed.
    Destroy,
}

impl HookKind {
    /// The name in `lxc.hook.NAME`, in arguments and in LXC_HOOK_TYPE.
    pub fn name(self) -> &'static str {
        match self {
            HookKind::PreStart => "pre-start",
            HookKind::PreMount => "pre-mount",
            HookKind::Mount => "mount",
            HookKind::Autodev => "autodev",
            HookKind::StartHost => "start-host",
            HookKind::Start => "start",
            HookKind::Stop => "stop",
            HookKind::PostStop => "post-stop",
            HookKind::Destroy => "destroy",
        }
    }

    /// Whether it runs in the guest's mount namespace but with the host's files.
    pub fn in_guest_before_switch(self) -> bool {
        matches!(
            self,
            HookKind::PreMount | HookKind::Mount | HookKind::Autodev
        )
    }
}

/// One hook to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// When.
    pub kind: HookKind,
    /// Shell words, as configured.
    pub command: String,
    /// Key and place, for errors.
    pub origin: String,
}

/// The hooks of one kind, in order.
pub fn runs(kind: HookKind, hooks: &lxc_config::Hooks) -> impl Iterator<Item = HookRun> + '_ {
    let list: &Vec<Located<String>> = match kind {
        HookKind::PreStart => &hooks.pre_start,
        HookKind::PreMount => &hooks.pre_mount,
        HookKind::Mount => &hooks.mount,
        HookKind::Autodev => &hooks.autodev,
        HookKind::StartHost => &hooks.start_host,
        HookKind::Start => &hooks.start,
        HookKind::Stop => &hooks.stop,
        HookKind::PostStop => &hooks.post_stop,
        HookKind::Destroy => &hooks.destroy,
    };
    list.iter().map(move |hook| HookRun {
        kind,
        command: hook.value.clone(),
        origin: format!("lxc.hook.{}, {}", kind.name(), hook.origin),
    })
}

impl HookRun {
    /// The hooks of `kind` that `hooks` asks for, in order.
    pub fn all(kind: HookKind, hooks: &lxc_config::Hooks) -> Vec<HookRun> {
        runs(kind, hooks).collect()
    }
}
