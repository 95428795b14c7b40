//! A configuration: typed values, the text they will be saved as, and what took effect.

use crate::diagnostic::{Details, Diagnostic, Kind};
use crate::row::{self, Found};
use crate::setting::{Fault, Input, Resolved, errno};
use crate::table::TABLE;
use crate::text::Text;
use crate::values::{Origin, Values};
use crate::{file, listing, not_carried_out, unknown};
use std::path::Path;
use std::sync::Arc;

/// One `KEY = VALUE` that took effect; an empty value clears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Full key, e.g. `lxc.net.0.link`.
    pub key: String,
    /// Value without quotes; random digits and copied environment values already filled in.
    pub value: String,
    /// Where it was written.
    pub origin: Origin,
}

/// How LXC's C functions hand out a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a text: copied whole, or not at all when the buffer is too small; unset = buffer untouched.
    Text,
    /// Printed into a zeroed buffer, as much as fits.
    Printed,
}

/// The configuration of one container.
///
/// Whatever an operation refuses, it leaves as it was.
#[derive(Debug, Clone, Default)]
pub struct Config {
    values: Values,
    text: Text,
    assignments: Vec<Assignment>,
}

impl Config {
    /// A configuration in which every key has LXC's default.
    pub fn new() -> Config {
        Config::default()
    }

    /// The configuration written in the file `path` and in what it includes.
    ///
    /// # Errors
    /// The first fault found, with its file and line.
    pub fn load(path: &Path) -> Result<Config, Diagnostic> {
        let mut config = Config::new();
        config.load_more(path)?;
        Ok(config)
    }

    /// Adds what the file `path` says to what is there already: single values are replaced, lists
    /// grow. Reads `path` and the files it includes; waits for nothing else.
    ///
    /// # Errors
    /// The first fault found; the configuration is then unchanged.
    pub fn load_more(&mut self, path: &Path) -> Result<(), Diagnostic> {
        let text = file::read(path)?;
        self.parse(&text, &path.to_string_lossy())
    }

    /// Like [`Config::load_more`] for a text already read; `file` is what messages call it.
    ///
    /// # Errors
    /// The first fault found; the configuration is then unchanged.
    pub fn parse(&mut self, text: &str, file: &str) -> Result<(), Diagnostic> {
        let mut next = self.clone();
        file::parse_main(&mut next, text, &Arc::from(file))?;
        *self = next;
        Ok(())
    }

    /// Sets `key` as set_config_item does: single values are replaced, lists grow, `""` clears.
    /// `lxc.include` reads the file at once.
    ///
    /// # Errors
    /// Unknown key, bad value, or a line break or NUL in either; nothing changed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Diagnostic> {
        one_line(key, value)?;
        if key == row::INCLUDE {
            let mut next = self.clone();
            file::include(&mut next, value, &Origin::Api)?;
            if !value.is_empty() {
                next.text.push_assignment(key, value);
            }
            *self = next;
            return Ok(());
        }
        if value.is_empty() {
            self.require(key)?;
        }
        let applied = self.assign(key, value, &Origin::Api)?;
        if value.is_empty() {
            self.forget_lines(key);
            self.clear_what_is_left_empty(key);
        }
        let saved = match &applied {
            Applied::AsWritten => value,
            Applied::ShortFor(text) => text,
            Applied::SavedAs(text) => text,
        };
        if !saved.is_empty() {
            self.text.push_assignment(key, saved);
        }
        Ok(())
    }

    /// Gives `key` its default, or empties its list, as clear_config_item does. `lxc.net.N`,
    /// `lxc.net`, `lxc.hook`, `lxc.cgroup` and `lxc.cgroup2` clear all that is below them.
    ///
    /// # Errors
    /// Unknown key, or a key of a network device that does not exist.
    pub fn clear(&mut self, key: &str) -> Result<(), Diagnostic> {
        one_line(key, "")?;
        self.require(key)?;
        self.put_back(key)
            .map_err(|fault| diagnostic(fault, key, "", &Origin::Api))?;
        self.log(key, "", &Origin::Api);
        self.forget_lines(key);
        self.clear_what_is_left_empty(key);
        Ok(())
    }

    /// The text get_config_item gives for `key`; `None` when it is unset (length 0).
    ///
    /// # Errors
    /// Unknown key or network device ([`errno`](crate::Details::errno) tells which number LXC answers with),
    /// or a key that has no value of its own.
    pub fn get(&self, key: &str) -> Result<Option<String>, Diagnostic> {
        let got = row::find(key).and_then(|found| match found {
            Found::Item(row, item) if row.is_readable() => Ok(item.get(&self.values)),
            Found::Item(..) => Err(Fault::bad(
                "cannot be read as a whole",
                "ask for one of the keys below it",
            )),
            Found::Member(_, family, rest) => family.get(&self.values, rest),
            Found::Include => Err(Fault::bad(
                "cannot be read back",
                "its lines took effect when it was read",
            )
            .errno(errno::ENOSYS)),
        });
        got.map_err(|fault| diagnostic(fault, key, "", &Origin::Api))
    }

    /// The names get_keys lists: all keys for `None`, else the sub-keys of `prefix`, without it.
    ///
    /// # Errors
    /// A prefix that LXC does not list, or `lxc.net.N` of a device that does not exist.
    pub fn keys(&self, prefix: Option<&str>) -> Result<Vec<String>, Diagnostic> {
        let Some(prefix) = prefix else {
            return Ok(listing::all());
        };
        listing::below(&self.values, prefix)
            .map_err(|fault| diagnostic(fault, prefix, "", &Origin::Api))
    }

    /// What lxc_config_item_is_supported answers: whether `key` is exactly one of the names of the
    /// table. Prefixes are names there (`lxc.net`, `lxc.net.`, `lxc.cgroup2`), what is below them is
    /// not (`lxc.net.0.type`, `lxc.cgroup2.memory.max`).
    pub fn is_supported(key: &str) -> bool {
        TABLE.iter().any(|row| row.key == key)
    }

    /// What is set and cannot be carried out by this version at a start: one diagnostic a key, each
    /// with the place it was written. Values that mean LXC's default are not among them.
    pub fn not_carried_out(&self) -> Vec<Diagnostic> {
        not_carried_out::among(&self.assignments, &self.values)
    }

    /// How get_config_item gives the value of `key`; `None` for a key there is not.
    pub fn form(key: &str) -> Option<Form> {
        match row::find(key).ok()? {
            Found::Item(row, _) => Some(row.form),
            Found::Member(row, family, rest) => family.knows(rest).then_some(row.form),
            Found::Include => None,
        }
    }

    /// Everything the configuration says, typed.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// What save_config writes: the lines as they were read (comments and includes unexpanded,
    /// empty lines left out), then one `KEY = VALUE` for each one set.
    pub fn text(&self) -> String {
        self.text.as_str().to_owned()
    }

    /// Every assignment that took effect, in order, those of included files in their place.
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// The configuration that `assignments` lead to, with the same values and origins. Reads no
    /// file; the result has no text to save.
    ///
    /// # Errors
    /// An assignment that cannot have come from [`Config::assignments`] of this version.
    pub fn replay(assignments: impl IntoIterator<Item = Assignment>) -> Result<Config, Diagnostic> {
        let mut config = Config::new();
        for Assignment { key, value, origin } in assignments {
            let done = match value.is_empty() {
                // Not the empty form: what that was short for has been recorded instead.
                true => config.put_back(&key),
                false => config.put(&key, &value, &origin),
            };
            done.map_err(|fault| diagnostic(fault, &key, &value, &origin))?;
            config.assignments.push(Assignment { key, value, origin });
        }
        Ok(config)
    }

    /// Applies one assignment of a file or a caller; the text is the caller's business.
    pub(crate) fn assign(
        &mut self,
        key: &str,
        value: &str,
        origin: &Origin,
    ) -> Result<Applied, Diagnostic> {
        self.resolve_and_put(key, value, origin)
            .map_err(|fault| diagnostic(fault, key, value, origin))
    }

    pub(crate) fn text_mut(&mut self) -> &mut Text {
        &mut self.text
    }

    fn resolve_and_put(
        &mut self,
        key: &str,
        value: &str,
        origin: &Origin,
    ) -> Result<Applied, Fault> {
        let found = row::find(key)?;
        if value.is_empty() {
            let short_for = match found {
                Found::Item(_, item) => item.empty(&mut self.values)?,
                Found::Member(_, family, rest) => {
                    family.clear(&mut self.values, rest).map(|()| None)?
                }
                Found::Include => None,
            };
            self.log(key, short_for.unwrap_or(""), origin);
            return Ok(short_for.map_or(Applied::AsWritten, Applied::ShortFor));
        }
        let resolved = match found {
            Found::Item(_, item) => item.resolve(value)?,
            Found::Member(_, family, rest) => family.resolve(rest, value)?,
            Found::Include => Resolved::AsWritten,
        };
        let effective = match &resolved {
            Resolved::AsWritten => value,
            Resolved::ForThisRun(text) | Resolved::ForGood(text) => text,
        };
        self.put(key, effective, origin)?;
        self.log(key, effective, origin);
        Ok(match resolved {
            Resolved::ForGood(text) => Applied::SavedAs(text),
            Resolved::AsWritten | Resolved::ForThisRun(_) => Applied::AsWritten,
        })
    }

    /// Stores a value that is not empty and depends on nothing outside.
    fn put(&mut self, key: &str, value: &str, origin: &Origin) -> Result<(), Fault> {
        let input = Input { value, origin };
        match row::find(key)? {
            Found::Item(_, item) => item.set(&mut self.values, &input),
            Found::Member(_, family, rest) => family.set(&mut self.values, rest, &input),
            Found::Include => Err(Fault::bad(
                "an include among assignments",
                "its lines belong here",
            )),
        }
    }

    /// The clear operation on the values alone.
    fn put_back(&mut self, key: &str) -> Result<(), Fault> {
        match row::find(key)? {
            Found::Item(_, item) => item.clear(&mut self.values),
            Found::Member(_, family, rest) => family.clear(&mut self.values, rest)?,
            Found::Include => {}
        }
        Ok(())
    }

    fn log(&mut self, key: &str, value: &str, origin: &Origin) {
        self.assignments.push(Assignment {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.clone(),
        });
    }

    /// Refuses to clear something of what is not there.
    fn require(&self, key: &str) -> Result<(), Diagnostic> {
        match row::find(key) {
            Ok(Found::Member(_, family, rest)) => family.is_there(&self.values, rest),
            Ok(Found::Item(..) | Found::Include) => Ok(()),
            Err(fault) => Err(fault),
        }
        .map_err(|fault| diagnostic(fault, key, "", &Origin::Api))
    }

    fn clear_what_is_left_empty(&mut self, key: &str) {
        let Ok(Found::Member(_, family, rest)) = row::find(key) else {
            return;
        };
        if let Some(whole) = family.left_empty(&self.values, rest)
            && self.put_back(&whole).is_ok()
        {
            self.log(&whole, "", &Origin::Api);
            self.forget_lines(&whole);
        }
    }

    /// Removes the lines whose effect a clear of `key` took back.
    fn forget_lines(&mut self, key: &str) {
        match row::find(key) {
            Ok(Found::Item(row, _)) => self
                .text
                .remove(|line| line == key || (row.also_clears)(line)),
            Ok(Found::Member(_, family, rest)) => {
                // The name of the family's row, with which its members' keys begin.
                let name = &key[..key.len() - rest.len()];
                self.text.remove(|line| {
                    let member = line.strip_prefix(name);
                    member.is_some_and(|line_rest| {
                        family.knows(line_rest) && family.covers(rest, line_rest)
                    })
                });
            }
            // Clearing an include takes nothing back, so its line stays.
            Ok(Found::Include) | Err(_) => {}
        }
    }
}

/// How an assignment went into the values.
pub(crate) enum Applied {
    /// As it was written.
    AsWritten,
    /// It was empty, which here means this value.
    ShortFor(&'static str),
    /// Replaced for good by this text, which belongs into the saved text instead.
    SavedAs(String),
}

/// Refuses what could not be one line of a file.
fn one_line(key: &str, value: &str) -> Result<(), Diagnostic> {
    let broken = |text: &str| text.contains(['\0', '\r', '\n']);
    if broken(key) || broken(value) {
        let fault = Fault::bad(
            "a line break or NUL in it",
            "key and value must fit on one line",
        );
        return Err(diagnostic(fault, key, value, &Origin::Api));
    }
    Ok(())
}

pub(crate) fn diagnostic(fault: Fault, key: &str, value: &str, origin: &Origin) -> Diagnostic {
    let hint = match (fault.kind, fault.hint.is_empty()) {
        (Kind::UnknownKey, true) => unknown::suggestion(key),
        _ => fault.hint,
    };
    Diagnostic::from(Details {
        kind: fault.kind,
        origin: Some(origin.clone()),
        included_from: Vec::new(),
        key: Some(key.to_owned()),
        offending: fault.offending.unwrap_or_else(|| value.to_owned()),
        message: fault.message,
        hint,
        errno: fault.errno,
    })
}
