//! What the cgroups of one container are called, and which hierarchies they are in.

use crate::{HierarchyFact, Refusal};
use lxc_config::{CgroupPlace, Located};

/// The cgroups of one container, relative to each hierarchy's base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupNames {
    /// The monitor's own.
    pub monitor: String,
    /// The container's, which has its limits.
    pub payload: String,
    /// Name of the one below it that holds the processes; `None` = they are in `payload`.
    pub inner: Option<String>,
    /// The names are the configuration's own and stand as they are; others get a suffix (`-1`, …)
    /// when they are taken.
    pub exact: bool,
    /// Where the monitor moves before it removes its own; `None` = to the base.
    pub pivot: Option<String>,
    /// Where it moves when the base takes no process.
    pub refuge: String,
}

/// The last component of the cgroup that a monitor moves to, as LXC calls it.
const PIVOT: &str = "lxc.pivot";

impl CgroupNames {
    /// LXC's default names.
    pub fn of(name: &str) -> CgroupNames {
        CgroupNames::below(
            "",
            &format!("lxc.monitor.{name}"),
            &format!("lxc.payload.{name}"),
        )
    }

    /// The names of the container `name`: the exact directories of the configuration, else those in
    /// `lxc.cgroup.dir`, else those of the installation's `lxc.cgroup.pattern`, else the default.
    ///
    /// # Errors
    /// Keys that exclude each other, or of which one is missing; a pattern that leads nowhere.
    pub fn choose(
        name: &str,
        place: &CgroupPlace,
        pattern: Option<&str>,
    ) -> Result<CgroupNames, Refusal> {
        let mut names = match (exact(place)?, &place.dir, pattern) {
            (Some(names), ..) => names,
            (None, Some(dir), _) => {
                let dir = path("lxc.cgroup.dir", dir)?;
                let (monitor, payload) =
                    (format!("lxc.monitor.{name}"), format!("lxc.payload.{name}"));
                CgroupNames::below(&dir, &monitor, &payload)
            }
            (None, None, Some(pattern)) => {
                let dir = from_pattern(pattern, name)?;
                CgroupNames {
                    // LXC looks for its pivot in the directory of lxc.cgroup.dir and nowhere else.
                    refuge: PIVOT.to_string(),
                    ..CgroupNames::below(&dir, "monitor", "payload")
                }
            }
            (None, None, None) => CgroupNames::of(name),
        };
        if let Some(pivot) = &place.monitor_pivot {
            let pivot = path("lxc.cgroup.dir.monitor.pivot", pivot)?;
            names.pivot = Some(format!("{pivot}/{PIVOT}"));
        }
        Ok(names)
    }

    fn below(dir: &str, monitor: &str, payload: &str) -> CgroupNames {
        let join = |leaf: &str| match dir.is_empty() {
            true => leaf.to_string(),
            false => format!("{dir}/{leaf}"),
        };
        CgroupNames {
            monitor: join(monitor),
            payload: join(payload),
            inner: None,
            exact: false,
            pivot: None,
            refuge: join(PIVOT),
        }
    }

    /// The cgroup that holds the processes, without a suffix.
    pub fn container(&self) -> String {
        match &self.inner {
            Some(inner) => format!("{}/{inner}", self.payload),
            None => self.payload.clone(),
        }
    }
}

/// The names that `lxc.cgroup.dir.monitor` and its kin give, if any of them is set.
fn exact(place: &CgroupPlace) -> Result<Option<CgroupNames>, Refusal> {
    const MONITOR: &str = "lxc.cgroup.dir.monitor";
    const CONTAINER: &str = "lxc.cgroup.dir.container";
    const INNER: &str = "lxc.cgroup.dir.container.inner";
    let set = [
        (MONITOR, &place.monitor),
        (CONTAINER, &place.container),
        (INNER, &place.container_inner),
    ];
    let Some((first, value)) = set
        .iter()
        .find_map(|(key, v)| v.as_ref().map(|v| (*key, v)))
    else {
        return Ok(None);
    };
    if place.dir.is_some() {
        return Err(Refusal::new(
            format!("{first} and lxc.cgroup.dir exclude each other"),
            "remove one of them: the one names a cgroup, the other a directory that LXC names cgroups in",
        )
        .at(first, &value.origin));
    }
    let (Some(monitor), Some(container)) = (&place.monitor, &place.container) else {
        let missing = if place.monitor.is_none() {
            MONITOR
        } else {
            CONTAINER
        };
        return Err(Refusal::new(
            format!("{first} is set and {missing} is not"),
            format!(
                "{MONITOR} and {CONTAINER} go together: set {missing} as well, or remove {first}"
            ),
        )
        .at(first, &value.origin));
    };
    let names = CgroupNames {
        monitor: path(MONITOR, monitor)?,
        payload: path(CONTAINER, container)?,
        inner: match &place.container_inner {
            Some(inner) => Some(path(INNER, inner)?),
            None => None,
        },
        exact: true,
        pivot: None,
        refuge: PIVOT.to_string(),
    };
    if is_at_or_below(&names.monitor, &names.payload) {
        return Err(Refusal::new(
            format!(
                "the monitor's cgroup {} lies in the container's, {}: who freezes the container would stop its monitor",
                names.monitor, names.payload
            ),
            "name a cgroup outside of lxc.cgroup.dir.container",
        )
        .at(MONITOR, &monitor.origin));
    }
    Ok(Some(names))
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A directory without `.` and double slashes; the parser has kept `..` and `/` in front out.
fn path(key: &str, value: &Located<String>) -> Result<String, Refusal> {
    components(&value.value).ok_or_else(|| {
        Refusal::new(
            format!("{key} = {} names no cgroup", value.value),
            "write a relative path such as tenants/a, without ..",
        )
        .at(key, &value.origin)
    })
}

fn from_pattern(pattern: &str, name: &str) -> Result<String, Refusal> {
    // An absolute one is LXC's own former default (/lxc/%n), and begins at the base as well.
    components(&pattern.replace("%n", name)).ok_or_else(|| {
        Refusal::new(
            format!("lxc.cgroup.pattern = {pattern} names no cgroup"),
            "write a path such as lxc/%n, without .., into lxc.conf",
        )
    })
}

fn components(path: &str) -> Option<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// The hierarchies of `found` that the installation's `lxc.cgroup.use` leaves: of v1 those all of
/// whose controllers it names. v2 is not asked about.
///
/// # Errors
/// It names a controller that none of them has.
pub fn used(found: Vec<HierarchyFact>, only: Option<&str>) -> Result<Vec<HierarchyFact>, Refusal> {
    let Some(only) = only else {
        return Ok(found);
    };
    let wanted: Vec<&str> = only
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let used: Vec<HierarchyFact> = found
        .into_iter()
        .filter(|h| h.unified || h.controllers.iter().all(|c| wanted.contains(&c.as_str())))
        .collect();
    let missing = wanted.iter().find(|name| {
        !used
            .iter()
            .any(|h| h.controllers.iter().any(|c| c == *name))
    });
    match missing {
        None => Ok(used),
        Some(missing) => Err(Refusal::new(
            format!(
                "lxc.cgroup.use names the controller '{missing}', which no usable hierarchy has"
            ),
            "correct lxc.cgroup.use in lxc.conf: controllers mounted together must all be named",
        )),
    }
}
