//! `cargo xtask setup`: the Debian packages that build, demonstration and tests need.

use std::collections::BTreeSet;
use std::time::Instant;

use xshell::cmd;

use crate::command_line::no_arguments;
use crate::project::{Outcome, Project, need_root};

/// Which part of ci/apt-packages.txt is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What building and the demonstration take.
    Build,
    /// That, and what boots machines and runs in them.
    Machines,
    /// That, and what tests compare us with.
    Test,
}

/// One line of the package list.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    reason: String,
    /// The least need that includes it.
    from: Need,
}

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    no_arguments(arguments)?;
    packages(project, Need::Test, "setup")
}

/// Installs what is missing. `command` is what the user typed, for the words that would work.
pub fn packages(project: &Project, need: Need, command: &str) -> Outcome {
    let list = parse(
        &project
            .sh
            .read_file(project.root.join("ci/apt-packages.txt"))?,
    )?;
    let wanted: Vec<&Package> = list.iter().filter(|package| package.from <= need).collect();
    if cmd!(project.sh, "dpkg-query --version")
        .quiet()
        .ignore_stdout()
        .run()
        .is_err()
    {
        println!(
            "setup: no dpkg here, so nothing was checked; these are needed: {}",
            names(&wanted)
        );
        return Ok(());
    }
    let present = installed(project)?;
    let missing: Vec<&Package> = wanted
        .into_iter()
        .filter(|package| !present.contains(&package.name))
        .collect();
    if missing.is_empty() {
        println!("setup: nothing to install");
        return Ok(());
    }
    need_root(command).map_err(|error| format!("{} missing; {error}", names(&missing)))?;
    println!("setup: installing with apt-get:");
    for package in &missing {
        println!("  {:<17} {}", package.name, package.reason);
    }
    let bridge_before = bridge_exists();
    let begun = Instant::now();
    install(project, &missing)?;
    println!("setup: done in {} s", begun.elapsed().as_secs());
    if bridge_exists() && !bridge_before {
        println!("setup: Debian's lxc-net service made the bridge lxcbr0; nothing here uses it");
    }
    Ok(())
}

/// Tries with the package lists there are, then once more with fresh ones.
fn install(project: &Project, missing: &[&Package]) -> Outcome {
    // RUNLEVEL=1: sysvinit's helper then starts no service of a package.
    let _quiet = project.sh.push_env("DEBIAN_FRONTEND", "noninteractive");
    let _still = project.sh.push_env("RUNLEVEL", "1");
    let names: &[&str] = &missing
        .iter()
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>();
    let attempt = || {
        cmd!(
            project.sh,
            "apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=60 install {names...}"
        )
        .quiet()
        .ignore_status()
        .output()
    };
    if attempt()?.status.success() {
        return Ok(());
    }
    println!("setup: the package lists are missing or old: apt-get update");
    let update = cmd!(project.sh, "apt-get -q -o DPkg::Lock::Timeout=60 update")
        .quiet()
        .ignore_status()
        .output()?;
    let second = attempt()?;
    if second.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&second.stderr);
    let complaint = first_complaint(&stderr);
    // apt-get update reports an unreachable mirror as a warning and ends with 0.
    let unreachable = !update.status.success() || complaint.contains("fetch");
    let hint = if unreachable {
        " (is there a network?)"
    } else {
        ""
    };
    let names = names.join(", ");
    Err(format!("apt-get could not install {names}: {complaint}{hint}").into())
}

fn installed(project: &Project) -> Outcome<BTreeSet<String>> {
    // One line a package; an asked name that dpkg never heard of would be an error, so ask for all.
    let format = "${db:Status-Status} ${Package}\\n";
    let text = cmd!(project.sh, "dpkg-query --show --showformat={format}")
        .quiet()
        .read()?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .map(String::from)
        .collect())
}

fn parse(list: &str) -> Outcome<Vec<Package>> {
    let mut packages = Vec::new();
    let mut group = None;
    for (number, line) in list.lines().enumerate() {
        let wrong = |what: &str| format!("ci/apt-packages.txt:{}: {what}: {line}", number + 1);
        let (name, reason) = line.split_once('#').unwrap_or((line, ""));
        match (name.trim(), reason.trim()) {
            ("", _) => {}
            ("[build]", _) => group = Some(Need::Build),
            ("[machines]", _) => group = Some(Need::Machines),
            ("[test]", _) => group = Some(Need::Test),
            (name, _) if name.contains(char::is_whitespace) => {
                return Err(wrong("more than one package in a line").into());
            }
            (_, "") => return Err(wrong("a package without its reason").into()),
            (name, reason) => packages.push(Package {
                name: name.to_string(),
                reason: reason.to_string(),
                from: group.ok_or_else(|| wrong("a package above the first group"))?,
            }),
        }
    }
    Ok(packages)
}

/// What apt-get complained about first, without its letter.
fn first_complaint(stderr: &str) -> &str {
    stderr
        .lines()
        .find_map(|line| {
            line.strip_prefix("E: ")
                .or_else(|| line.strip_prefix("Err:"))
        })
        .or_else(|| stderr.lines().find(|line| !line.trim().is_empty()))
        .unwrap_or("it did not say why")
}

fn bridge_exists() -> bool {
    std::path::Path::new("/sys/class/net/lxcbr0").exists()
}

fn names(packages: &[&Package]) -> String {
    packages
        .iter()
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_line_by_line() {
        let list = "# head\n\n[build]\ngcc   # links\n[test]\nlxc # the peer # of peers\n";
        let package = |name: &str, reason: &str, from| Package {
            name: name.to_string(),
            reason: reason.to_string(),
            from,
        };
        assert_eq!(
            parse(list).unwrap(),
            [
                package("gcc", "links", Need::Build),
                package("lxc", "the peer # of peers", Need::Test)
            ]
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        for (list, expected) in [
            ("[build]\ngcc\n", ":2: a package without its reason: gcc"),
            ("gcc # links\n", ":1: a package above the first"),
            ("[test]\n\nlxc crun # peers\n", ":3: more than one package"),
        ] {
            let error = parse(list).unwrap_err().to_string();
            assert!(error.contains(expected), "{list:?}: {error}");
        }
    }

    #[test]
    fn the_first_complaint_is_passed_on() {
        for (stderr, expected) in [
            (
                "W: old\nE: Unable to locate package x\nE: other\n",
                "Unable to locate package x",
            ),
            ("\nsomething else\n", "something else"),
            ("", "it did not say why"),
        ] {
            assert_eq!(first_complaint(stderr), expected);
        }
    }
}
