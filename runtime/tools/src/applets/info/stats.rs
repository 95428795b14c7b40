//! What a container uses, from its cgroup and the host side of its network devices.

use lxc_runtime::Container;
use serde::Serialize;

/// Everything that could be read; a host without a controller leaves its figure out.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_use_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_use_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_use_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kmem_use_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// A network device, seen from the container: what the host received is what it transmitted.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    pub name: String,
    pub tx_bytes: u64,
    pub rx_bytes: u64,
}

/// Reads the figures of a running container; what cannot be read is left out.
pub fn gather(container: &Container) -> Stats {
    let read = |file: &str| container.cgroup_item(file).ok().flatten();
    let mut stats = Stats {
        cpu_use_ns: read("cpuacct.usage").and_then(|text| text.trim().parse().ok()),
        blkio_use_bytes: read("blkio.throttle.io_service_bytes")
            .and_then(|text| labelled(&text, "Total")),
        memory_use_bytes: read("memory.usage_in_bytes").and_then(|text| text.trim().parse().ok()),
        kmem_use_bytes: read("memory.kmem.usage_in_bytes")
            .and_then(|text| text.trim().parse().ok()),
        links: links(container),
    };
    // The unified hierarchy has its own files for the same things.
    if stats.cpu_use_ns.is_none() {
        let usec = read("cpu.stat").and_then(|text| labelled(&text, "usage_usec"));
        stats.cpu_use_ns = usec.and_then(|usec| usec.checked_mul(1000));
    }
    if stats.memory_use_bytes.is_none()
        && let Some(text) = read("memory.stat")
    {
        stats.memory_use_bytes = sum(&text, &["anon", "file"]);
        stats.kmem_use_bytes = sum(&text, &["kernel_stack", "pagetables", "sock", "slab"]);
    }
    stats
}

/// The number behind a label that begins a line.
fn labelled(text: &str, label: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == label)
        .and_then(|(_, number)| number.trim().parse().ok())
}

fn sum(text: &str, labels: &[&str]) -> Option<u64> {
    labels.iter().map(|label| labelled(text, label)).sum()
}

/// The devices, until one is missing in the running configuration.
fn links(container: &Container) -> Vec<Link> {
    let item = |key: String| {
        container
            .running_config_item(&key)
            .ok()
            .flatten()
            .filter(|value| !value.is_empty())
    };
    (0u32..)
        .map_while(|index| {
            let kind = item(format!("lxc.net.{index}.type"))?;
            let key = if kind == "veth" { "veth.pair" } else { "link" };
            item(format!("lxc.net.{index}.{key}"))
        })
        .map_while(link)
        .collect()
}

fn link(name: String) -> Option<Link> {
    if name.contains('/') {
        return None;
    }
    let count = |file: &str| -> Option<u64> {
        let path = format!("/sys/class/net/{name}/statistics/{file}");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let (tx_bytes, rx_bytes) = (count("rx_bytes")?, count("tx_bytes")?);
    Some(Link {
        name,
        tx_bytes,
        rx_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("8:0 Read 5\n8:0 Total 5\nTotal 5\n", "Total", Some(5))]
    #[case("Total 0\n", "Total", Some(0))]
    #[case("anon 4096\nanon_thp 1\n", "anon", Some(4096))]
    #[case("anon_thp 1\n", "anon", None)]
    #[case("Total many\n", "Total", None)]
    fn labels(#[case] text: &str, #[case] label: &str, #[case] number: Option<u64>) {
        assert_eq!(labelled(text, label), number);
    }

    #[test]
    fn a_sum_with_a_hole_is_no_sum() {
        assert_eq!(sum("a 1\nb 2\n", &["a", "b"]), Some(3));
        assert_eq!(sum("a 1\n", &["a", "b"]), None);
    }
}
