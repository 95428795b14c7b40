//! What one container uses, from the files of its cgroup.

use lxc_runtime::Container;

/// The figures of one container; 0 where a host has none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Usage {
    pub name: String,
    /// Nanoseconds.
    pub cpu: u64,
    /// In the kernel, clock ticks.
    pub cpu_sys: u64,
    /// In programs, clock ticks.
    pub cpu_user: u64,
    pub disk: Disk,
    /// Bytes, as the next two.
    pub memory: u64,
    /// With swap.
    pub memory_swap: u64,
    pub kernel_memory: u64,
}

/// Input and output of block devices.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub total_bytes: u64,
    pub operations: u64,
}

impl Usage {
    /// Reads the figures of a running container: on a host with v1 controllers from their files, else
    /// from those of the unified hierarchy.
    pub fn gather(container: &Container) -> Usage {
        let read = |file: &str| container.cgroup_item(file).ok().flatten();
        let ticks = rustix::param::clock_ticks_per_second();
        Usage::from_files(container.name(), ticks, &read)
    }

    fn from_files(name: &str, ticks: u64, read: &dyn Fn(&str) -> Option<String>) -> Usage {
        let number = |file: &str| read(file).and_then(|text| text.trim().parse().ok());
        let mut usage = Usage {
            name: name.to_owned(),
            ..Usage::default()
        };
        if let Some(nanoseconds) = number("cpuacct.usage") {
            usage.cpu = nanoseconds;
            let text = read("cpuacct.stat").unwrap_or_default();
            usage.cpu_sys = labelled(&text, "system");
            usage.cpu_user = labelled(&text, "user");
        } else if let Some(text) = read("cpu.stat") {
            let in_ticks = |label| {
                let microseconds = u128::from(labelled(&text, label));
                u64::try_from(microseconds * u128::from(ticks) / 1_000_000).unwrap_or(u64::MAX)
            };
            usage.cpu = labelled(&text, "usage_usec").saturating_mul(1000);
            usage.cpu_sys = in_ticks("system_usec");
            usage.cpu_user = in_ticks("user_usec");
        }
        usage.disk = match read("blkio.throttle.io_service_bytes") {
            Some(bytes) => Disk::from_v1(
                &bytes,
                &read("blkio.throttle.io_serviced").unwrap_or_default(),
            ),
            None => Disk::from_v2(&read("io.stat").unwrap_or_default()),
        };
        if let Some(bytes) = number("memory.usage_in_bytes") {
            usage.memory = bytes;
            usage.memory_swap = number("memory.memsw.usage_in_bytes").unwrap_or(0);
            usage.kernel_memory = number("memory.kmem.usage_in_bytes").unwrap_or(0);
        } else if let Some(bytes) = number("memory.current") {
            usage.memory = bytes;
            // The unified hierarchy counts swap apart, v1 counted both together.
            let swap = number("memory.swap.current");
            usage.memory_swap = swap.map_or(0, |swap| bytes.saturating_add(swap));
            usage.kernel_memory = labelled(&read("memory.stat").unwrap_or_default(), "kernel");
        }
        usage
    }

    /// The sum of several, named `name`.
    pub fn sum(name: String, usages: &[Usage]) -> Usage {
        let start = Usage {
            name,
            ..Usage::default()
        };
        usages.iter().fold(start, |mut sum, one| {
            for (sum, one) in [
                (&mut sum.cpu, one.cpu),
                (&mut sum.cpu_sys, one.cpu_sys),
                (&mut sum.cpu_user, one.cpu_user),
                (&mut sum.disk.read_bytes, one.disk.read_bytes),
                (&mut sum.disk.written_bytes, one.disk.written_bytes),
                (&mut sum.disk.total_bytes, one.disk.total_bytes),
                (&mut sum.disk.operations, one.disk.operations),
                (&mut sum.memory, one.memory),
                (&mut sum.memory_swap, one.memory_swap),
                (&mut sum.kernel_memory, one.kernel_memory),
            ] {
                *sum = sum.saturating_add(one);
            }
            sum
        })
    }
}

impl Disk {
    /// From lines such as `8:0 Read 4096`; each device has a total of its own, and there is one of all.
    fn from_v1(bytes: &str, operations: &str) -> Disk {
        let of_devices = |wanted: &str| {
            let lines = bytes.lines().filter_map(|line| {
                let mut words = line.split_whitespace().skip(1);
                (words.next() == Some(wanted)).then(|| words.next())?
            });
            sum_of(lines)
        };
        Disk {
            read_bytes: of_devices("Read"),
            written_bytes: of_devices("Write"),
            total_bytes: labelled(bytes, "Total"),
            operations: labelled(operations, "Total"),
        }
    }

    /// From lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`.
    fn from_v2(text: &str) -> Disk {
        let of_devices = |wanted: &str| {
            let words = text.split_whitespace();
            sum_of(words.filter_map(|word| word.strip_prefix(wanted)?.strip_prefix('=')))
        };
        let (read_bytes, written_bytes) = (of_devices("rbytes"), of_devices("wbytes"));
        Disk {
            read_bytes,
            written_bytes,
            total_bytes: read_bytes.saturating_add(written_bytes),
            operations: of_devices("rios").saturating_add(of_devices("wios")),
        }
    }
}

fn sum_of<'a>(numbers: impl Iterator<Item = &'a str>) -> u64 {
    let numbers = numbers.filter_map(|number| number.parse().ok());
    numbers.fold(0, u64::saturating_add)
}

/// The number behind a label that begins a line, or 0.
fn labelled(text: &str, label: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == label)
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Usage {
        Usage::from_files("c1", 100, &|wanted| {
            let file = files.iter().find(|(name, _)| *name == wanted);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    /// What both kinds of hosts are to tell, but for the disks.
    fn busy(disk: Disk) -> Usage {
        Usage {
            name: "c1".to_owned(),
            cpu: 3_000_000_000,
            cpu_sys: 200,
            cpu_user: 100,
            disk,
            memory: 4096,
            memory_swap: 8192,
            kernel_memory: 1024,
        }
    }

    #[test]
    fn v1() {
        let usage = of(&[
            ("cpuacct.usage", "3000000000\n"),
            ("cpuacct.stat", "user 100\nsystem 200\n"),
            (
                "blkio.throttle.io_service_bytes",
                "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\n8:16 Read 10\n8:16 Write 20\nTotal 33\n",
            ),
            ("blkio.throttle.io_serviced", "8:0 Read 4\nTotal 5\n"),
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.memsw.usage_in_bytes", "8192\n"),
            ("memory.kmem.usage_in_bytes", "1024\n"),
            // What the unified hierarchy of a hybrid host has is not counted twice.
            ("cpu.stat", "usage_usec 9\n"),
            ("io.stat", "8:0 rbytes=9\n"),
            ("memory.current", "9\n"),
        ]);
        let disk = Disk {
            read_bytes: 11,
            written_bytes: 22,
            total_bytes: 33,
            operations: 5,
        };
        assert_eq!(usage, busy(disk));
    }

    #[test]
    fn v2() {
        let usage = of(&[
            (
                "cpu.stat",
                "usage_usec 3000000\nuser_usec 1000000\nsystem_usec 2000000\n",
            ),
            (
                "io.stat",
                "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 rbytes=10\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.swap.current", "4096\n"),
            ("memory.stat", "anon 1\nkernel_stack 2\nkernel 1024\n"),
        ]);
        let disk = Disk {
            read_bytes: 11,
            written_bytes: 2,
            total_bytes: 13,
            operations: 7,
        };
        assert_eq!(usage, busy(disk));
    }

    #[test]
    fn a_host_without_controllers_and_files_of_nonsense_give_nothing() {
        let nothing = Usage {
            name: "c1".to_owned(),
            ..Usage::default()
        };
        assert_eq!(of(&[]), nothing);
        let nonsense = of(&[
            ("cpu.stat", "usage_usec\nuser_usec -1\n"),
            ("io.stat", "8:0 rbytes=x rios\n"),
            ("memory.current", "max\n"),
        ]);
        assert_eq!(nonsense, nothing);
    }

    #[test]
    fn sums_do_not_overflow() {
        let one = Usage {
            cpu: u64::MAX,
            memory: 1,
            ..Usage::default()
        };
        let sum = Usage::sum("all".to_owned(), &[one.clone(), one]);
        assert_eq!((sum.cpu, sum.memory), (u64::MAX, 2));
    }
}
