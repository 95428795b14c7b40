//! `cargo xtask demo`: a real container, from nothing to nothing, with the installed tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::build::{self, Profile};
use crate::command_line::no_arguments;
use crate::install::{self, Extent};
use crate::output::{Ran, bounded, kept};
use crate::project::{Outcome, Project, need_root};
use crate::setup::{self, Need};

/// No command of the demonstration takes a second; one that takes this long hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// What is shown, in order. `$P` and `$C` stand for the paths printed before.
const SESSION: &[&str] = &[
    "lxc-create -P $P demo -f $C -t busybox",
    "lxc-start -P $P demo",
    "lxc-ls -P $P -f",
    "lxc-info -P $P demo",
    "lxc-attach -P $P demo -- hostname",
    "lxc-attach -P $P demo -- ps",
    "lxc-stop -P $P demo",
    "lxc-info -P $P demo",
    "lxc-destroy -P $P demo",
    "lxc-ls -P $P -f",
];

/// The installed tools and where their containers live.
struct Stage {
    prefix: PathBuf,
    lxcpath: PathBuf,
    output: PathBuf,
}

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    no_arguments(arguments)?;
    need_root("demo")?;
    let begun = Instant::now();
    setup::packages(project, Need::Build, "demo")?;
    let programs = build::programs(project, Profile::Release)?;
    let stage = Stage::below(&project.target.join("demo"));
    install::afresh(project, &programs, Extent::Programs, &stage.prefix)?;
    stage.clear()?;
    println!("ready after {} s\n", begun.elapsed().as_secs());

    let played = stage.play(project);
    if played.is_err() {
        // What is left of the container is of no use to anybody; the first error is what counts.
        if let Err(error) = stage.clear() {
            eprintln!("and cleaning up failed: {error}");
        }
    }
    played?;
    println!("\nThat was a container on this kernel. It left nothing behind but the tools in");
    println!("{}.", project.shown(&stage.prefix));
    Ok(())
}

impl Stage {
    fn below(directory: &Path) -> Stage {
        Stage {
            prefix: directory.join("prefix"),
            lxcpath: directory.join("lxc"),
            output: directory.join("output"),
        }
    }

    fn bin(&self) -> PathBuf {
        self.prefix.join("bin")
    }

    fn configuration(&self) -> PathBuf {
        self.prefix.join("etc/lxc/default.conf")
    }

    /// Removes the container that an interrupted demonstration left, running or half made.
    fn clear(&self) -> Outcome {
        let container = self.lxcpath.join("demo");
        if !container.exists() {
            return Ok(());
        }
        let destroy = self.run("lxc-destroy -P $P demo --force")?;
        let state = self.run("lxc-info -P $P demo -s -H")?;
        if !matches!(state.text.trim(), "STOPPED" | "") && state.failure().is_none() {
            let said = destroy.text.trim();
            return Err(
                format!("the container of an earlier run cannot be removed: {said}").into(),
            );
        }
        // Half made, no tool knows it: what is left are plain files.
        match fs::remove_dir_all(&container) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", container.display()).into())
            }
            _ => Ok(()),
        }
    }

    fn play(&self, project: &Project) -> Outcome {
        fs::create_dir_all(&self.lxcpath)?;
        for (name, path) in [
            ("PATH", self.bin()),
            ("C", self.configuration()),
            ("P", self.lxcpath.clone()),
        ] {
            let more = if name == "PATH" { ":$PATH" } else { "" };
            println!("$ {name}={}{more}", working_directory_form(project, &path));
        }
        for line in SESSION {
            println!("$ {line}");
            let ran = self.run(line)?;
            if let Some(failure) = ran.failure() {
                return Err(
                    format!("`{line}` failed ({failure}):\n{}", ran.text.trim_end()).into(),
                );
            }
            print!("{}", ran.text);
        }
        Ok(())
    }

    /// Runs one line of the session with the installed tools.
    fn run(&self, line: &str) -> Outcome<Ran> {
        let mut words = line.split(' ').map(|word| match word {
            "$P" => self.lxcpath.clone().into_os_string(),
            "$C" => self.configuration().into_os_string(),
            word => word.into(),
        });
        let tool = words.next().ok_or("an empty line in the session")?;
        let mut command = bounded(LIMIT, self.bin().join(tool));
        command.args(words);
        kept(command, &self.output).map_err(|error| format!("`{line}`: {error}").into())
    }
}

/// The path as somebody at the top level can type it.
fn working_directory_form(project: &Project, path: &Path) -> String {
    match path.strip_prefix(&project.root) {
        Ok(below) => format!("$PWD/{}", below.display()),
        Err(_) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_session_names_the_private_path() {
        for line in SESSION {
            assert!(line.starts_with("lxc-"), "{line}");
            assert!(
                line.contains(" -P $P"),
                "{line} would touch the host's containers"
            );
        }
    }
}
