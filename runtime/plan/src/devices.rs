//! Device rules as they are written to a cgroup.

use crate::HostFacts;

/// The rule text with a device's path replaced by its type and numbers, as the kernel wants it.
pub fn resolved(value: &str, facts: &HostFacts) -> Result<String, String> {
    if !value.starts_with('/') {
        return Ok(value.to_string());
    }
    match facts.device_paths.iter().find(|(path, _)| path == value) {
        Some((_, answer)) => answer.clone(),
        None => Err(format!("{value} was not looked up")),
    }
}
