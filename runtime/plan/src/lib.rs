//! Decides: configuration, host facts and a request become a plan.
//!
//! **Is** pure: a plan is the ordered list of steps as a printable value. What only an act can give
//! (pid, descriptor, cgroup suffix, name of a veth) is not in it; the engine's world holds that.
//! **Knows** the configuration and what a fact means for it.
//! **Never** makes a system call.
#![forbid(unsafe_code)]

mod attach;
mod cgroup;
mod devices;
mod facts;
mod hooks;
pub mod idmap;
mod lsm;
mod mounts;
mod namespaces;
mod network;
mod print;
mod refusal;
mod request;
mod root;
mod settings;
mod start;
mod step;
pub mod users;

pub use attach::{
    AttachLabel, AttachPlan, AttachRequest, Elevated, JoinedIds, LabelFacts, RunningFacts,
};
pub use cgroup::{CgroupNames, needs_device_program, used as used_hierarchies};
pub use facts::{HierarchyFact, HostFacts, KernelFacts, Layout, RootfsFact, SharedFact};
pub use hooks::{HookKind, HookRun};
pub use idmap::IdmapPlan;
pub use lsm::{
    ApparmorFact, GeneratedProfile, Label, SecurityModule, generated_names, label_in_force,
    profile_to_find, shipped_profiles, wants_generated,
};
pub use mounts::{PlannedMount, sources as mount_sources};
pub use namespaces::{JoinedNamespace, Namespaces};
pub use network::{NicPlan, VethPlan};
pub use refusal::Refusal;
pub use request::StartRequest;
pub use root::RootfsMountOptions;
pub use settings::{ProcessSettings, written_paths};
pub use start::{StartPlan, start};
pub use step::{
    CgroupView, ClockOffset, HierarchyMount, Planned, Program, ResourceLimit, Side, Step, TtyPlan,
};
