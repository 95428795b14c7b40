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

pub use attach::{AttachPlan, AttachRequest, Elevated, RunningFacts};
pub use cgroup::{CgroupNames, needs_device_program};
pub use facts::{HierarchyFact, HostFacts, KernelFacts, Layout, RootfsFact, SharedFact};
pub use hooks::{HookKind, HookRun};
pub use mounts::PlannedMount;
pub use namespaces::{JoinedNamespace, Namespaces};
pub use network::{NicPlan, VethPlan};
pub use refusal::Refusal;
pub use request::StartRequest;
pub use settings::{ProcessSettings, written_paths};
pub use start::{StartPlan, start};
pub use step::{CgroupView, ClockOffset, Planned, Program, ResourceLimit, Side, Step, TtyPlan};
