//! The order of the containers, and the texts.

use std::fmt::Write;

use super::usage::Usage;
use crate::size::humanized;

/// What containers are ordered by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    #[default]
    Name,
    Cpu,
    Disk,
    Memory,
    MemorySwap,
    KernelMemory,
}

impl Column {
    /// The one that a key, or a letter behind `-s`, stands for.
    pub fn of_key(key: char) -> Option<Column> {
        Some(match key {
            'n' => Column::Name,
            'c' => Column::Cpu,
            'b' => Column::Disk,
            'm' => Column::Memory,
            's' => Column::MemorySwap,
            'k' => Column::KernelMemory,
            _ => return None,
        })
    }

    fn of(self, usage: &Usage) -> u64 {
        match self {
            Column::Name => 0,
            Column::Cpu => usage.cpu,
            Column::Disk => usage.disk.total_bytes,
            Column::Memory => usage.memory,
            Column::MemorySwap => usage.memory_swap,
            Column::KernelMemory => usage.kernel_memory,
        }
    }
}

/// How containers are ordered: names from the first, numbers from the largest on, or in reverse.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub column: Column,
    pub reverse: bool,
}

impl Order {
    /// Puts them in order; those that are equal by name.
    pub fn sort(&self, usages: &mut [Usage]) {
        usages.sort_by(|one, other| {
            let numbers = self.column.of(other).cmp(&self.column.of(one));
            numbers.then_with(|| one.name.cmp(&other.name))
        });
        if self.reverse {
            usages.reverse();
        }
    }

    /// What a key changes; most change nothing.
    pub fn press(&mut self, key: char) {
        match Column::of_key(key) {
            _ if key == 'r' => self.reverse = !self.reverse,
            Some(column) if column == self.column => self.reverse = !self.reverse,
            Some(column) => self.column = column,
            None => {}
        }
    }
}

/// The first line for programs.
pub const BATCH_HEADER: &str = "time_ms,container,cpu_nanos,cpu_sys_userhz,cpu_user_userhz,\
    blkio_bytes,blkio_iops,mem_used_bytes,memsw_used_bytes,kernel_mem_used_bytes\n";

/// A line for each container.
pub fn batch_lines(milliseconds: u128, usages: &[Usage]) -> String {
    usages.iter().fold(String::new(), |mut text, one| {
        let (name, disk) = (&one.name, one.disk);
        let _ = writeln!(
            text,
            "{milliseconds},{name},{},{},{},{},{},{},{},{}",
            one.cpu,
            one.cpu_sys,
            one.cpu_user,
            disk.total_bytes,
            disk.operations,
            one.memory,
            one.memory_swap,
            one.kernel_memory
        );
        text
    })
}

/// A screenful of at most `rows` rows; `ticks` is how many make a second.
pub fn page(usages: &[Usage], rows: usize, ticks: u64) -> String {
    let shown = usages.len().min(rows.saturating_sub(3));
    let name = format!("TOTAL {shown} of {}", usages.len());
    let total = Usage::sum(name, usages);
    let line = |one: &Usage| row(one, &total, ticks);
    let mut text = String::from("\x1b[H\x1b[J\x1b[7m\x1b[1m");
    text += &heading(&total);
    text += "\x1b[0m";
    for one in &usages[..shown] {
        text += &line(one);
        text += "\n";
    }
    // Without a newline, which would move the page up.
    text + &line(&total)
}

fn heading(total: &Usage) -> String {
    let titles = [
        ["Container", "CPU", "CPU", "CPU", "BlkIO", "Mem"],
        ["Name", "Used", "Sys", "User", "Total(Read/Write)", "Used"],
    ];
    let optional = [["MemSw", "KMem"], ["Used", "Used"]];
    let mut text = String::new();
    for (titles, optional) in titles.iter().zip(optional) {
        let [name, cpu, sys, user, disk, memory] = titles;
        let _ = write!(
            text,
            "{name:<18} {cpu:>12} {sys:>12} {user:>12} {disk:>36} {memory:>10}"
        );
        for (title, sum) in optional
            .iter()
            .zip([total.memory_swap, total.kernel_memory])
        {
            if sum > 0 {
                let _ = write!(text, " {title:>10}");
            }
        }
        text += "\n";
    }
    text
}

fn row(one: &Usage, total: &Usage, ticks: u64) -> String {
    let seconds = |count: u64, each: u64| count as f64 / each.max(1) as f64;
    let disk = format!(
        "{}({}/{})",
        size(one.disk.total_bytes),
        size(one.disk.read_bytes),
        size(one.disk.written_bytes)
    );
    let mut text = format!(
        "{:<18.18} {:12.2} {:12.2} {:12.2} {disk:>36} {:>10}",
        one.name,
        seconds(one.cpu, 1_000_000_000),
        seconds(one.cpu_sys, ticks),
        seconds(one.cpu_user, ticks),
        size(one.memory)
    );
    for (bytes, sum) in [
        (one.memory_swap, total.memory_swap),
        (one.kernel_memory, total.kernel_memory),
    ] {
        if sum > 0 {
            let _ = write!(text, " {:>10}", size(bytes));
        }
    }
    text
}

/// As lxc-info has it, but for few bytes, which get the room of the others.
fn size(bytes: u64) -> String {
    if bytes < 1024 {
        format!("{bytes:>3}.00   ")
    } else {
        humanized(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::usage::Disk;
    use super::*;
    use rstest::rstest;

    fn some() -> Vec<Usage> {
        let one = |name: &str, cpu, memory| Usage {
            name: name.to_owned(),
            cpu,
            memory,
            cpu_sys: 150,
            cpu_user: 50,
            disk: Disk {
                read_bytes: 2048,
                written_bytes: 1,
                total_bytes: 2049,
                operations: 3,
            },
            ..Usage::default()
        };
        vec![
            one("web", 1_500_000_000, 5_000_000),
            one(
                "a-name-that-is-longer-than-its-column",
                20_000_000_000,
                4096,
            ),
            one("db", 1_500_000_000, 700),
        ]
    }

    #[rstest]
    #[case("", "a-name db web")]
    #[case("r", "web db a-name")]
    #[case("n", "web db a-name")]
    #[case("c", "a-name db web")]
    #[case("cc", "web db a-name")]
    #[case("m", "web a-name db")]
    #[case("mr", "db a-name web")]
    #[case("xm?", "web a-name db")]
    fn keys_order(#[case] keys: &str, #[case] expected: &str) {
        let mut order = Order::default();
        for key in keys.chars() {
            order.press(key);
        }
        let mut usages = some();
        order.sort(&mut usages);
        let names: Vec<_> = usages
            .iter()
            .map(|one| one.name.split("-that").next().unwrap_or_default())
            .collect();
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn a_page_fits_its_rows() {
        insta::assert_snapshot!("page", page(&some(), 5, 100).replace('\x1b', "␛"));
        let mut with_all = some();
        with_all[0].memory_swap = 6_000_000;
        with_all[0].kernel_memory = 1024;
        insta::assert_snapshot!(
            "page of all columns",
            page(&with_all, 50, 100).replace('\x1b', "␛")
        );
        assert_eq!(page(&some(), 1, 100).lines().count(), 3);
        assert!(page(&[], 24, 100).contains("TOTAL 0 of 0"));
    }

    #[test]
    fn lines_have_as_many_values_as_their_header() {
        let lines = batch_lines(7, &some()[..1]);
        assert_eq!(lines, "7,web,1500000000,150,50,2049,3,5000000,0,0\n");
        let count = |line: &str| line.matches(',').count();
        assert_eq!(count(&lines), count(BATCH_HEADER));
    }
}
