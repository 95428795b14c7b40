//! A container's configuration: loaded, read, changed and saved.
//!
//! **No change is lost.** Two programs that each load a configuration, change another key of it and
//! save must both find their change in the file. So an object remembers the file as it was read and
//! the changes made since (`Lineage`); a save takes the disk lock, looks at the file once more, and
//! where somebody else has written it in between, puts its own changes on top of theirs. C LXC
//! writes what it has in memory and loses the other's.

use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::paths;
use lxc_config::{Config, Diagnostic};
use lxc_engine::directory;
use lxc_engine::disk_lock::DiskLock;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// What lines that were set are called in messages about a file they are put on top of.
const OWN_CHANGES: &str = "changes made here";

/// How the configuration in memory came about.
#[derive(Debug, Clone)]
pub(crate) enum Lineage {
    /// By changes to what the own file said.
    Changed {
        /// The file's bytes; `None` = there was none.
        base: Option<Vec<u8>>,
        /// What was done since, in order.
        changes: Vec<Change>,
    },
    /// In a way that has nothing to do with the file: a save replaces it wholly.
    Unrelated,
}

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Lines as they are saved: random digits are in them already, so that they stay the same.
    Added(String),
    /// `KEY =`.
    Emptied(String),
    /// clear_config_item.
    Cleared(String),
}

impl Change {
    fn apply(&self, config: &mut Config) -> Result<()> {
        match self {
            Change::Added(lines) => config.parse(lines, OWN_CHANGES)?,
            Change::Emptied(key) => config.set(key, "")?,
            Change::Cleared(key) => config.clear(key)?,
        }
        Ok(())
    }
}

impl Lineage {
    fn fresh(base: Option<Vec<u8>>) -> Lineage {
        Lineage::Changed {
            base,
            changes: Vec::new(),
        }
    }

    fn push(&mut self, change: Change) {
        if let Lineage::Changed { changes, .. } = self {
            changes.push(change);
        }
    }
}

/// The own configuration of a container as its file says it, in one read; what was read comes along.
pub(crate) fn read_own(
    lxcpath: &str,
    name: &str,
    file: &Path,
) -> Result<(Option<Config>, Lineage)> {
    let lock = DiskLock::take_if_there(lxcpath, name);
    let _lock = lock.map_err(|e| cannot("lock", file, &e))?;
    let Some(bytes) = directory::read_config(file).map_err(|e| unreadable(file, &e))? else {
        return Ok((None, Lineage::fresh(None)));
    };
    let mut config = Config::new();
    parse(&mut config, &bytes, file)?;
    Ok((Some(config), Lineage::fresh(Some(bytes))))
}

fn parse(config: &mut Config, bytes: &[u8], file: &Path) -> Result<()> {
    // A text ends at its first NUL, whatever follows.
    let end = bytes.iter().position(|byte| *byte == 0);
    match str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]) {
        Ok(text) => config.parse(text, &file.to_string_lossy())?,
        // Which of such lines may stay is decided there; they are rare enough to be read again.
        Err(_) => config.load_more(file)?,
    }
    Ok(())
}

impl Container {
    /// Whether there is a configuration in memory.
    pub fn has_config(&self) -> bool {
        self.config.is_some()
    }

    /// Adds what `file` says (`None` = its own file) to the configuration in memory: single values
    /// are replaced, lists grow. Each file is read once; the own one under the disk lock, if anybody
    /// uses it.
    ///
    /// # Errors
    /// `BadConfig` with file and line, or the file cannot be read; the configuration is unchanged.
    pub fn load_config(&mut self, file: Option<&Path>) -> Result<()> {
        let own = file.is_none_or(|file| file == self.config_file);
        let path = file.unwrap_or(&self.config_file).to_path_buf();
        if own && self.config.is_none() {
            let (config, lineage) = read_own(&self.lxcpath, &self.name, &path)?;
            self.config = Some(config.ok_or_else(|| self.undefined())?);
            self.lineage = lineage;
            return Ok(());
        }
        let _lock = match own {
            true => DiskLock::take_if_there(&self.lxcpath, &self.name)
                .map_err(|e| cannot("lock", &path, &e))?,
            false => None,
        };
        self.add(|config| config.load_more(&path))
    }

    /// Replaces the configuration by that of `file`, which is also where it is saved from now on.
    ///
    /// # Errors
    /// As [`Container::open`]; the present configuration stays.
    pub fn use_config_file(&mut self, file: &Path) -> Result<()> {
        let config = Config::load(file)?;
        self.config = Some(config);
        self.config_file = file.to_path_buf();
        // It may be a pipe, which cannot be looked at again.
        self.lineage = Lineage::Unrelated;
        Ok(())
    }

    /// Its own file from now on; nothing is loaded, and the next save replaces what it says.
    pub fn set_config_file(&mut self, file: &Path) {
        if file != self.config_file {
            self.config_file = file.to_path_buf();
            self.lineage = Lineage::Unrelated;
        }
    }

    /// Sets a key in memory; an empty value clears it. A running container is not affected.
    ///
    /// # Errors
    /// No such key, or a value it does not take; nothing is changed.
    pub fn set_config_item(&mut self, key: &str, value: &str) -> Result<()> {
        if !value.is_empty() {
            return self.add(|config| config.set(key, value));
        }
        self.change(|config| config.set(key, ""))?;
        self.lineage.push(Change::Emptied(key.to_owned()));
        Ok(())
    }

    /// Gives `key` its default, or empties its list.
    ///
    /// # Errors
    /// No such key; nothing is changed.
    pub fn clear_config_item(&mut self, key: &str) -> Result<()> {
        self.change(|config| config.clear(key))?;
        self.lineage.push(Change::Cleared(key.to_owned()));
        Ok(())
    }

    /// Changes the configuration, or an empty one if there is none; refused, none is made.
    fn change<T>(
        &mut self,
        act: impl FnOnce(&mut Config) -> std::result::Result<T, Diagnostic>,
    ) -> Result<T> {
        if let Some(config) = &mut self.config {
            return Ok(act(config)?);
        }
        let mut config = Config::new();
        let done = act(&mut config)?;
        self.config = Some(config);
        Ok(done)
    }

    /// Makes a change that only adds lines, and remembers them.
    fn add(
        &mut self,
        act: impl FnOnce(&mut Config) -> std::result::Result<(), Diagnostic>,
    ) -> Result<()> {
        let added = self.change(|config| {
            let before = config.text().len();
            act(config)?;
            Ok(config.text().split_off(before))
        })?;
        self.lineage.push(Change::Added(added));
        Ok(())
    }

    /// Forgets the configuration in memory. What is set and saved afterwards replaces the file.
    pub fn clear_config(&mut self) {
        self.config = None;
        self.lineage = Lineage::Unrelated;
    }

    /// A key's value in the text form of LXC; `None` when it is not set.
    pub fn config_item(&self, key: &str) -> Result<Option<String>> {
        match &self.config {
            Some(config) => Ok(config.get(key)?),
            None => Ok(Config::new().get(key)?),
        }
    }

    /// Keys below `prefix` without it, or all of them.
    ///
    /// # Errors
    /// A prefix nothing can be listed below.
    pub fn config_keys(&self, prefix: Option<&str>) -> Result<Vec<String>> {
        match &self.config {
            Some(config) => Ok(config.keys(prefix)?),
            None => Ok(Config::new().keys(prefix)?),
        }
    }

    /// Moves it, in memory, to another lxcpath: file and socket are looked for there from now on. The
    /// configuration stays as it is.
    pub fn set_lxcpath(&mut self, lxcpath: &Path) {
        self.lxcpath = lxcpath.to_string_lossy().into_owned();
        self.set_config_file(&PathBuf::from(format!(
            "{}/{}/config",
            self.lxcpath, self.name
        )));
    }

    /// [`Container::save_config_as`] to its own file.
    pub fn save_config(&mut self) -> Result<()> {
        self.save_config_as(None)
    }

    /// Writes the configuration to `file` (`None` = its own file), keeping comments and unknown
    /// lines; without one, that of new containers is loaded first. A reader sees the old text or the
    /// new one, also after a crash. The container's directory is made if it is missing, whichever
    /// file is meant.
    ///
    /// The own file is written under the disk lock, for which this waits without limit; what others
    /// have changed in it since it was loaded stays (see the head of this file), unless
    /// [`Container::clear_config`] or [`Container::config_mut`] was used.
    ///
    /// # Errors
    /// There is no configuration; what others wrote cannot be read; what cannot be written. The file
    /// is as it was.
    pub fn save_config_as(&mut self, file: Option<&Path>) -> Result<()> {
        let own = file.is_none_or(|file| file == self.config_file);
        let path = file.unwrap_or(&self.config_file).to_path_buf();
        let home = self.directory();
        if self.config.is_none() && !(own && path.is_file() && self.is_changed()) {
            self.add(|config| config.load_more(&paths::default_config()))?;
        }
        directory::make(&home).map_err(|e| cannot("make the directory for", &path, &e))?;
        if !own {
            let text = self.config.as_ref().map(Config::text).unwrap_or_default();
            return write(&path, &text);
        }
        let lock = DiskLock::take(&self.lxcpath, &self.name);
        let _lock = lock.map_err(|e| cannot("lock", &path, &e))?;
        self.catch_up(&path)?;
        self.write_own()
    }

    /// Writes its own file, for whoever keeps others away already: by the disk lock, or by the mark
    /// of a creation.
    pub(crate) fn write_own(&mut self) -> Result<()> {
        let text = self.config.as_ref().map(Config::text).unwrap_or_default();
        write(&self.config_file, &text)?;
        self.lineage = Lineage::fresh(Some(text.into_bytes()));
        Ok(())
    }

    fn is_changed(&self) -> bool {
        matches!(self.lineage, Lineage::Changed { .. })
    }

    /// Puts the changes made here on top of what others have written since the file was read.
    fn catch_up(&mut self, path: &Path) -> Result<()> {
        let Lineage::Changed { base, changes } = &self.lineage else {
            return Ok(());
        };
        let present = directory::read_config(path).map_err(|e| unreadable(path, &e))?;
        // A file that somebody has removed cannot be built upon.
        let Some(theirs) = present.filter(|present| Some(present) != base.as_ref()) else {
            return Ok(());
        };
        let mut config = Config::new();
        let caught_up = parse(&mut config, &theirs, path).and_then(|()| {
            changes
                .iter()
                .try_for_each(|change| change.apply(&mut config))
        });
        caught_up.map_err(|error| {
            let file = path.display();
            let text = format!(
                "{file} was changed by somebody else since it was loaded, and this cannot be saved on \
                 top of it; nothing was written; load it again\n  {error}"
            );
            Error::new(ErrorKind::BadConfig, text)
        })?;
        self.config = Some(config);
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    directory::write_config(path, text.as_bytes()).map_err(|e| cannot("save", path, &e))
}

fn unreadable(path: &Path, error: &impl Display) -> Error {
    cannot("read", path, error)
}

fn cannot(what: &str, path: &Path, error: &impl Display) -> Error {
    let file = path.display();
    let text = format!("cannot {what} the configuration {file}\n  {error}");
    Error::new(ErrorKind::Other, text)
}
