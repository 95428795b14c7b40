//! What the caller wants and where things are: words such as `rootfs=/srv/x`.

use std::ffi::CString;
use std::path::PathBuf;

/// The command line, which second programs of ours are given again.
#[derive(Debug, Default)]
pub struct Orders {
    /// `start`, `attach`, `stop`, and for ourselves `monitor`, `help-attach`.
    pub act: String,
    /// Host name, and part of the cgroups' names.
    pub name: String,
    /// The guest's root directory.
    pub rootfs: PathBuf,
    /// Where the pids of guest and monitor are kept.
    pub state: PathBuf,
    /// The guest's init.
    pub init: String,
    /// Directories of the host to be shown read-only under the same name.
    pub binds: Vec<String>,
    /// v1 directories below which cgroups are made.
    pub legacy: Vec<PathBuf>,
    /// The same in v2.
    pub unified: Option<PathBuf>,
    words: Vec<String>,
}

impl Orders {
    /// The first word is the act.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Orders, String> {
        let act = words.next().ok_or("an act is missing")?;
        let mut orders = Orders {
            act,
            ..Orders::default()
        };
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((&word, ""));
            match key {
                _ if value.is_empty() => return Err(format!("{word:?} says nothing")),
                "name" => orders.name = value.to_owned(),
                "rootfs" => orders.rootfs = value.into(),
                "state" => orders.state = value.into(),
                "init" => orders.init = value.to_owned(),
                "bind" => orders.binds.push(value.to_owned()),
                "legacy" => orders.legacy.push(value.into()),
                "unified" => orders.unified = Some(value.into()),
                _ => return Err(format!("{word:?} is not understood")),
            }
            orders.words.push(word);
        }
        match orders.name.is_empty() || orders.name.contains('/') {
            true => Err("name= must be there, and one word of a path".to_owned()),
            false => Ok(orders),
        }
    }

    /// The command line of a second program of ours.
    pub fn pass_on(&self, act: &str) -> Vec<CString> {
        let words = ["bare", act].into_iter();
        let words = words.chain(self.words.iter().map(String::as_str));
        // Words of a command line have no NUL.
        words.filter_map(|word| CString::new(word).ok()).collect()
    }

    /// Name of the cgroups of a side.
    pub fn cgroup(&self, side: &str) -> String {
        format!("bare.{side}.{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Orders, String> {
        Orders::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn orders_are_passed_on() {
        let orders = parse("start name=a rootfs=/r legacy=/x legacy=/y unified=/z").unwrap();
        assert_eq!(orders.legacy.len(), 2);
        let words = orders.pass_on("monitor");
        assert_eq!(words.len(), 7);
        assert_eq!(words[1].as_c_str(), c"monitor");
        assert_eq!(orders.cgroup("guest"), "bare.guest.a");
    }

    #[test]
    fn bad_orders_are_refused() {
        for line in [
            "",
            "start",
            "start name=",
            "start name=a/b",
            "start name=a x=1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
