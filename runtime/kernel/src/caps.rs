//! Capabilities of the calling thread, by number (0: CAP_CHOWN, …) or as bits.

use crate::error::{Called, Errno, Result, SysError};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// The highest capability that this kernel knows.
pub fn last_cap() -> u32 {
    // Known ones are numbered without a gap, and the kernel says which it knows, /proc or not.
    let (mut known, mut unknown) = (0, 64);
    while unknown - known > 1 {
        let middle = (known + unknown) / 2;
        match capability_is_in_bounding_set(bit(middle)) {
            Ok(_) => known = middle,
            Err(_) => unknown = middle,
        }
    }
    known
}

/// The set with this one capability; empty (which the kernel's door refuses) above 63.
fn bit(cap: u32) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1u64.checked_shl(cap).unwrap_or(0))
}

/// Tells whether the bounding set has a capability.
pub fn bounding_has(cap: u32) -> bool {
    capability_is_in_bounding_set(bit(cap)).unwrap_or(false)
}

/// Takes a capability out of the bounding set for ever.
pub fn drop_bounding(cap: u32) -> Result<()> {
    remove_capability_from_bounding_set(bit(cap))
        .called("prctl", || format!("PR_CAPBSET_DROP, {cap}"))
}

fn current() -> Result<CapabilitySets> {
    capabilities(None).called("capget", || "0".to_owned())
}

/// The effective set: bit N for capability N.
pub fn effective() -> Result<u64> {
    current().map(|sets| sets.effective.bits())
}

/// The permitted set.
pub fn permitted() -> Result<u64> {
    current().map(|sets| sets.permitted.bits())
}

/// The inheritable set.
pub fn inheritable() -> Result<u64> {
    current().map(|sets| sets.inheritable.bits())
}

/// Sets all three sets at once.
pub fn set(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(effective),
        permitted: CapabilitySet::from_bits_retain(permitted),
        inheritable: CapabilitySet::from_bits_retain(inheritable),
    };
    set_capabilities(None, sets).called("capset", || {
        format!("effective {effective:#x}, permitted {permitted:#x}, inheritable {inheritable:#x}")
    })
}

/// Empties the inheritable set, and with it the ambient one.
pub fn clear_inheritable_and_ambient() -> Result<()> {
    clear_ambient_capability_set().called("prctl", || {
        "PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL".to_owned()
    })?;
    let sets = current()?;
    set(sets.effective.bits(), sets.permitted.bits(), 0)
}

/// Lets a program that this thread executes keep all permitted capabilities.
pub fn raise_ambient_all_permitted() -> Result<()> {
    let sets = current()?;
    let permitted = sets.permitted.bits();
    // Ambient ones must be inheritable too.
    set(sets.effective.bits(), permitted, permitted)?;
    (0..=last_cap())
        .filter(|cap| permitted & (1 << cap) != 0)
        .try_for_each(|cap| {
            configure_capability_in_ambient_set(bit(cap), true).called("prctl", || {
                format!("PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {cap}")
            })
        })
}

/// Refuses unless the effective set has a capability: a sentence earlier than an EPERM later.
pub fn require(cap: u32) -> Result<()> {
    if effective()? & bit(cap).bits() == 0 {
        return Err(SysError::new(
            "capget",
            format!("capability {cap}"),
            Errno::PERM,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capability sets belong to threads: each test has one of its own.
    fn alone(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn the_kernel_agrees_on_the_last_capability() {
        let told = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert_eq!(told.trim(), last_cap().to_string());
        assert!(!bounding_has(last_cap() + 1) && !bounding_has(64) && !bounding_has(1000));
        assert!(drop_bounding(64).unwrap_err().is(Errno::INVAL));
    }

    #[test]
    fn sets_change_as_asked() {
        alone(|| {
            if crate::users::euid() != 0 {
                eprintln!("could not run: needs root");
                return;
            }
            raise_ambient_all_permitted().unwrap();
            let all = permitted().unwrap();
            assert_eq!(inheritable().unwrap(), all);
            assert_eq!(ambient(), all);
            clear_inheritable_and_ambient().unwrap();
            assert_eq!((inheritable().unwrap(), ambient()), (0, 0));
            assert_eq!((effective().unwrap(), permitted().unwrap()), (all, all));

            let mknod = 27;
            assert!(bounding_has(mknod));
            drop_bounding(mknod).unwrap();
            assert!(!bounding_has(mknod));

            set(1, 1, 0).unwrap();
            assert_eq!((effective().unwrap(), permitted().unwrap()), (1, 1));
            require(0).unwrap();
            assert!(require(1).unwrap_err().is(Errno::PERM));
            assert!(set(2, 2, 0).unwrap_err().is(Errno::PERM));
        });
    }

    fn ambient() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapAmb:"));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }
}
