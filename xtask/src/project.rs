//! Where things are: the checkout, the target directory, the cargo that started us, the user.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell};

/// What a command ends with; the error's text is shown to the user as it is.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The checkout and the tools to work on it.
pub struct Project {
    /// The repository's top level.
    pub root: PathBuf,
    /// Where everything built or downloaded goes.
    pub target: PathBuf,
    /// A shell whose current directory is `root`.
    pub sh: Shell,
    cargo: OsString,
}

impl Project {
    /// Finds the checkout that this program was built from.
    pub fn find() -> Outcome<Project> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("start this program with `cargo xtask`: cargo tells it where the checkout is")?;
        let root = Path::new(&manifest)
            .parent()
            .ok_or("CARGO_MANIFEST_DIR has no parent directory")?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => std::path::absolute(directory)?,
            None => root.join("target"),
        };
        let sh = Shell::new()?;
        sh.change_dir(&root);
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Project {
            root,
            target,
            sh,
            cargo,
        })
    }

    /// The cargo that runs us, to be given more arguments.
    pub fn cargo(&self) -> Cmd<'_> {
        self.sh.cmd(&self.cargo)
    }

    /// The same cargo, for callers that need std's command.
    pub fn cargo_program(&self) -> &OsString {
        &self.cargo
    }

    /// `path` as a person at the top level would write it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| effective_uid(&status) == Some(0))
}

/// Refuses to go on as another user than root, with the words that would work.
pub fn need_root(command: &str) -> Outcome {
    if is_root() {
        return Ok(());
    }
    Err(format!("needs root; run: sudo -E env \"PATH=$PATH\" cargo xtask {command}").into())
}

fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_uid_is_the_second_of_four() {
        for (status, expected) in [
            ("Name:\tx\nUid:\t1000\t0\t1000\t1000\n", Some(0)),
            ("Uid:\t0\t1000\t0\t0\n", Some(1000)),
            ("Gid:\t0\t0\t0\t0\n", None),
        ] {
            assert_eq!(effective_uid(status), expected, "{status}");
        }
    }
}
