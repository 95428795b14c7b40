//! lxc-info's output: LXC's lines, or JSON.

use std::fmt::{Display, Write};

use serde::{Serialize, Serializer};

use super::stats::{Link, Stats};
use crate::size::humanized;

/// What was asked and found; the parts not asked for are empty.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ips: Option<Vec<String>>,
    #[serde(flatten)]
    pub stats: Stats,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    pub config: Vec<(String, String)>,
}

fn as_object<S: Serializer>(items: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(items.iter().map(|(key, value)| (key, value)))
}

impl Report {
    /// One JSON object and a newline.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// LXC's lines. `raw` numbers; `bare` values of state, pid and addresses; `bare_key` value.
    pub fn text(&self, raw: bool, bare: bool, bare_key: bool) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &dyn Display| {
            let _ = if bare {
                writeln!(text, "{value}")
            } else {
                writeln!(text, "{label:<15} {value}")
            };
        };
        if let Some(name) = &self.name {
            line("Name:", name);
        }
        if let Some(state) = &self.state {
            line("State:", state);
        }
        if let Some(pid) = &self.pid {
            line("PID:", pid);
        }
        for ip in self.ips.iter().flatten() {
            line("IP:", ip);
        }
        self.stats.write(&mut text, raw);
        for (key, value) in &self.config {
            let _ = match (bare_key, value.is_empty()) {
                (true, _) => writeln!(text, "{value}"),
                (false, true) => writeln!(text, "{key} ="),
                (false, false) => writeln!(text, "{key} = {value}"),
            };
        }
        text
    }
}

impl Stats {
    fn write(&self, text: &mut String, raw: bool) {
        let size = |bytes: u64| {
            if raw {
                bytes.to_string()
            } else {
                humanized(bytes)
            }
        };
        let mut line = |label: &str, value: String| {
            let _ = writeln!(text, "{label:<15} {value}");
        };
        if let Some(nanoseconds) = self.cpu_use_ns {
            line(
                "CPU use:",
                if raw {
                    nanoseconds.to_string()
                } else {
                    seconds(nanoseconds)
                },
            );
        }
        if let Some(bytes) = self.blkio_use_bytes {
            line("BlkIO use:", size(bytes));
        }
        if let Some(bytes) = self.memory_use_bytes {
            line("Memory use:", size(bytes));
        }
        if let Some(bytes) = self.kmem_use_bytes {
            line("KMem use:", size(bytes));
        }
        for Link {
            name,
            tx_bytes,
            rx_bytes,
        } in &self.links
        {
            line("Link:", name.clone());
            line(" TX bytes:", size(*tx_bytes));
            line(" RX bytes:", size(*rx_bytes));
            line(" Total bytes:", size(tx_bytes.saturating_add(*rx_bytes)));
        }
    }
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.2} seconds", nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Report {
        Report {
            name: Some("tool-a".to_owned()),
            state: Some("RUNNING".to_owned()),
            pid: Some(27464),
            ips: Some(vec!["10.0.3.17".to_owned()]),
            stats: Stats {
                cpu_use_ns: Some(8_363_165),
                blkio_use_bytes: Some(0),
                memory_use_bytes: Some(1_212_416),
                kmem_use_bytes: Some(712_704),
                links: vec![Link {
                    name: "veth99VMO3".to_owned(),
                    tx_bytes: 858,
                    rx_bytes: 2549,
                }],
            },
            config: vec![
                ("lxc.tty.max".to_owned(), "5".to_owned()),
                ("lxc.uts.name".to_owned(), String::new()),
            ],
        }
    }

    #[test]
    fn lines_as_lxc_prints_them() {
        insta::assert_snapshot!("text", full().text(false, false, false));
    }

    #[test]
    fn raw_lines() {
        insta::assert_snapshot!("raw", full().text(true, false, false));
    }

    #[test]
    fn json() {
        insta::assert_snapshot!("json", full().json().unwrap());
    }

    #[test]
    fn one_selected_thing_is_bare() {
        let report = Report {
            pid: Some(7),
            ..Report::default()
        };
        assert_eq!(report.text(true, true, false), "7\n");
        let report = Report {
            config: vec![("k".to_owned(), "v".to_owned())],
            ..Report::default()
        };
        assert_eq!(report.text(true, false, true), "v\n");
    }
}
