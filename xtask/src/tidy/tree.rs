//! The files of the repository, as rules see them.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::project::Outcome;

/// Beginnings of paths that exist on one machine only. Written in two parts: rules read this too.
pub const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/tm", "p/d/")];

/// What is in the repository: tracked, or new and not ignored.
pub struct Tree {
    root: PathBuf,
    /// Paths relative to the top level, sorted.
    pub files: Vec<String>,
}

impl Tree {
    /// Asks git, or without git takes everything but `target`.
    pub fn read(root: &Path) -> Outcome<Tree> {
        let mut files = match listed_by_git(root) {
            Some(files) => files,
            None => everything(root)?,
        };
        files.sort();
        files.dedup();
        Ok(Tree {
            root: root.to_path_buf(),
            files,
        })
    }

    /// The text of a file; None when it is not text or not there.
    pub fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.root.join(file)).ok()
    }

    /// The Rust files below a folder.
    pub fn rust_files<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a String> {
        let folder = format!("{folder}/");
        self.files
            .iter()
            .filter(move |file| file.starts_with(&folder) && file.ends_with(".rs"))
    }

    /// Folders below `runtime/` and at top level that hold a manifest.
    pub fn crates(&self) -> Vec<String> {
        let folder = |file: &String| Some(file.strip_suffix("/Cargo.toml")?.to_string());
        self.files.iter().filter_map(folder).collect()
    }

    /// The text of a crate's head: of its library, else of its program.
    pub fn head(&self, folder: &str) -> Option<(String, String)> {
        ["src/lib.rs", "src/main.rs"].iter().find_map(|name| {
            let file = format!("{folder}/{name}");
            let text = self.text(&file)?;
            Some((file, text))
        })
    }
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let sh = Shell::new().ok()?;
    sh.change_dir(root);
    // Under sudo the checkout belongs to somebody else, which git refuses unless told.
    let listed = cmd!(
        sh,
        "git -c safe.directory=* ls-files --cached --others --exclude-standard"
    )
    .quiet()
    .ignore_stderr()
    .read()
    .ok()?;
    Some(
        listed
            .lines()
            .filter(|file| root.join(file).exists())
            .map(String::from)
            .collect(),
    )
}

fn everything(root: &Path) -> Outcome<Vec<String>> {
    let mut files = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            let below = path.strip_prefix(root)?.to_path_buf();
            if below == Path::new("target") || below == Path::new(".git") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else {
                files.push(below.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}
