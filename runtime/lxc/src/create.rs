//! Create.

use crate::configuration::{Lineage, read_own};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{self, Installation};
use lxc_config::Config;
use lxc_engine::Failure;
use lxc_engine::directory::{self, Partial};
use lxc_engine::mapped::{Mapped, TemplateRun};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where a container's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// A template of the installation: `busybox` is the program lxc-busybox.
    Named(String),
    /// A program.
    Path(PathBuf),
}

/// How a container is created. The default makes a container without a rootfs.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions<'a> {
    /// Fills the rootfs and extends the configuration.
    pub template: Option<Template>,
    /// What the configuration begins with; `None` = the default configuration.
    pub config: Option<&'a Path>,
    /// Storage type; only `dir` is implemented.
    pub storage: Option<&'a str>,
    /// Directory for the rootfs instead of `rootfs` in the container's own.
    pub dir: Option<&'a Path>,
    /// Arguments of the template.
    pub args: &'a [String],
    /// The template's output goes nowhere.
    pub quiet: bool,
    /// Refuse a container that is defined, also where what it lacks could be made.
    pub only_new: bool,
}

/// What to take back when a creation fails.
struct Made {
    /// Whose the files are, with id maps.
    mapped: Option<Rc<Mapped>>,
    directory: Option<PathBuf>,
    rootfs: Option<PathBuf>,
    /// The configuration file as it was, if there was one.
    config: Option<(PathBuf, Vec<u8>)>,
}

impl Made {
    /// All is well: nothing is taken back.
    fn keep(&mut self) {
        (self.directory, self.rootfs, self.config) = (None, None, None);
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some((file, before)) = self.config.take()
            && let Err(error) = directory::write_config(&file, &before)
        {
            ::log::warn!("{error}");
        }
        for path in [self.rootfs.take(), self.directory.take()]
            .into_iter()
            .flatten()
        {
            let removed = match &self.mapped {
                Some(mapped) => mapped.remove(&path, &[]).map_err(Error::from),
                None => directory::remove(&path, &[])
                    .map_err(|error| Error::new(ErrorKind::Other, error.to_string())),
            };
            if let Err(error) = removed {
                ::log::warn!("{error}");
            }
        }
    }
}

impl Container {
    /// Creates it: directory, configuration, rootfs, template. Blocks as long as the template runs.
    ///
    /// The configuration in memory is what it begins with, also that of a container that is defined
    /// and has no rootfs yet. Without a template, one whose rootfs exists, or that has none, is
    /// saved and that is all.
    ///
    /// # Errors
    /// `Exists`: a template is given and the rootfs is there already. `NotImplemented`: storage other
    /// than a directory. `BadConfig`: also id maps that the caller cannot have, or a caller who is not
    /// root and has none; or what failed. What was made is removed again.
    pub fn create(&mut self, options: &CreateOptions<'_>) -> Result<()> {
        if let Some(storage) = options.storage {
            only_directories(storage, "use -B dir")?;
        }
        let template = match &options.template {
            Some(template) => Some(find_template(template)?),
            None => None,
        };
        let is_whole = || template.is_some() && self.has_rootfs();
        if self.is_defined() && (options.only_new || is_whole()) {
            let text = format!(
                "the container {} exists already; choose another name, or destroy it first",
                self.name
            );
            return Err(Error::new(ErrorKind::Exists, text));
        }
        let before = (self.config.clone(), self.lineage.clone());
        if options.config.is_some() || self.config.is_none() {
            self.config = Some(initial_config(options.config)?);
            self.lineage = Lineage::Unrelated;
        }
        self.can_be_made(options)
            .and_then(|()| self.make(options, template.as_deref()))
            .inspect_err(|_| (self.config, self.lineage) = before)
    }

    fn has_rootfs(&self) -> bool {
        let rootfs = self.config().and_then(|c| c.values().rootfs.path.as_ref());
        rootfs.is_some_and(|path| Path::new(&path.value).exists())
    }

    /// Refuses what would make another rootfs than the one described.
    fn can_be_made(&self, options: &CreateOptions<'_>) -> Result<()> {
        let Some(config) = self.config() else {
            return Ok(());
        };
        if let Some(storage) = &config.values().rootfs.storage {
            only_directories(storage, "correct lxc.rootfs.path")?;
        }
        match &config.values().rootfs.path {
            Some(path) if options.dir.is_none() && !self.has_rootfs() => {
                let text = format!(
                    "the rootfs {} does not exist; make it, or clear lxc.rootfs.path to have one made",
                    path.value
                );
                Err(Error::new(ErrorKind::BadConfig, text).with_errno(libc::ENOENT))
            }
            _ => Ok(()),
        }
    }

    fn make(&mut self, options: &CreateOptions<'_>, template: Option<&Path>) -> Result<()> {
        let own = self.directory();
        let wanted = options.dir.is_some() || self.config_item("lxc.rootfs.path")?.is_some();
        let only_saved =
            template.is_none() && (!wanted || (self.is_defined() && self.has_rootfs()));
        let mapped = match only_saved && own.is_dir() {
            true => None,
            false => self.mapped(!only_saved)?.map(Rc::new),
        };
        let fresh = directory::make(&own).map_err(|error| {
            let remedy = "run this as a user who may write there, or choose another lxcpath";
            self.cannot("make its directory", &format!("{error}\n  {remedy}"))
        })?;
        let mut made = Made {
            mapped: mapped.clone(),
            directory: fresh.then(|| own.clone()),
            rootfs: None,
            config: None,
        };
        let present = directory::read_config(&self.config_file)
            .map_err(|e| self.cannot("read its configuration", &e))?;
        made.config = present.map(|text| (self.config_file.clone(), text));
        if let Some(mapped) = mapped.as_deref().filter(|_| fresh) {
            mapped.give(&own)?;
        }
        match only_saved {
            true => self.write_own()?,
            false => self.fill(options, template, mapped.as_deref(), &mut made)?,
        }
        made.keep();
        Ok(())
    }

    /// Makes the rootfs and runs the template.
    fn fill(
        &mut self,
        options: &CreateOptions<'_>,
        template: Option<&Path>,
        mapped: Option<&Mapped>,
        made: &mut Made,
    ) -> Result<()> {
        let own = self.directory();
        // The mark keeps others away: the disk lock is for containers that are there.
        let _partial = Partial::mark(&own).map_err(|e| self.cannot("mark its directory", &e))?;
        let rootfs = match (options.dir, self.config_item("lxc.rootfs.path")?) {
            (Some(dir), _) => dir.to_path_buf(),
            (None, Some(path)) => PathBuf::from(path),
            (None, None) => own.join("rootfs"),
        };
        let fresh =
            directory::make_rootfs(&rootfs).map_err(|e| self.cannot("make its rootfs", &e))?;
        made.rootfs = fresh.then(|| rootfs.clone());
        match mapped {
            Some(mapped) if fresh => mapped.give(&rootfs)?,
            Some(mapped) => mapped.owns(&rootfs)?,
            None => {}
        }
        self.set_config_item("lxc.rootfs.path", &format!("dir:{}", rootfs.display()))?;
        self.write_own()?;
        let Some(program) = template else {
            return Ok(());
        };
        let run = TemplateRun {
            program,
            directory: &own,
            name: &self.name,
            rootfs: &rootfs,
            args: options.args,
            quiet: options.quiet,
        };
        match mapped {
            Some(mapped) => mapped.run_template(&run)?,
            None => directory::run_template(&run)?,
        }
        self.adopt_template(program, options.args)
    }

    /// How the caller gets at its files where there are id maps; `filled` = there will be a rootfs.
    fn mapped(&self, filled: bool) -> Result<Option<Mapped>> {
        let values = self.config().map(lxc_config::Config::values);
        let first = values.and_then(|values| Some((values, values.idmap.first()?)));
        let Some((values, first)) = first else {
            return match filled && lxc_engine::caller_ids().0 != 0 {
                true => Err(no_maps()),
                false => Ok(None),
            };
        };
        let directory = self.directory();
        // Without a rootfs root of the container has nowhere to go.
        let searched = directory.parent().filter(|_| filled);
        lxc_plan::idmap::check(values).map_err(Failure::from)?;
        let ranges = lxc_plan::users::plain(&values.idmap);
        let mapped = Mapped::check(&ranges, searched).map_err(|failure| {
            let text = format!("{failure}\n  (lxc.idmap, {})", first.origin);
            Error::new(ErrorKind::BadConfig, text)
        });
        mapped.map(Some)
    }

    /// Reads what the template made of the configuration and says in it where it came from.
    fn adopt_template(&mut self, program: &Path, args: &[String]) -> Result<()> {
        let file = &self.config_file;
        let unreadable = |why: &dyn std::fmt::Display| {
            let text = format!("the template left {} unreadable: {why}", file.display());
            Error::new(ErrorKind::BadConfig, text)
        };
        let bytes = directory::read_left(file).map_err(|error| unreadable(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| unreadable(&error))?;
        let header = format!(
            "# Created from the template {}\n# with the arguments:{}{}\n# \
             Keys are explained in lxc.container.conf(5).\n\n",
            program.display(),
            if args.is_empty() { "" } else { " " },
            args.join(" ").replace(['\n', '\r'], " "),
        );
        let text = header + &text;
        directory::write_config(file, text.as_bytes())
            .map_err(|e| self.cannot("save its configuration", &e))?;
        let (config, lineage) = read_own(&self.lxcpath, &self.name, &self.config_file)?;
        (self.config, self.lineage) = (config, lineage);
        Ok(())
    }

    fn cannot(&self, what: &str, error: &impl std::fmt::Display) -> Error {
        let text = format!(
            "cannot create the container {}: cannot {what}\n  {error}",
            self.name
        );
        Error::new(ErrorKind::Other, text)
    }
}

/// What an ordinary user is told who asks for a container without id maps.
fn no_maps() -> Error {
    let text = "the configuration has no id maps (lxc.idmap), and only root creates containers without\n  \
                add what /etc/subuid and /etc/subgid grant you to it, such as 'lxc.idmap = u 0 100000 \
                65536' and the same with g";
    let granted = crate::user_namespace::UserNamespace::granted();
    let lines = granted.map(|namespace| namespace.config_lines());
    let text = match lines {
        Ok(lines) => format!(
            "the configuration has no id maps (lxc.idmap), and only root creates containers without\n  \
             add to {}:\n{lines}",
            paths::default_config().display()
        ),
        Err(nothing) => format!("{text}\n  {nothing}"),
    };
    Error::new(ErrorKind::BadConfig, text)
}

fn only_directories(storage: &str, remedy: &str) -> Result<()> {
    if storage == "dir" {
        return Ok(());
    }
    let text = format!("storage of type {storage} is not implemented yet; {remedy}");
    Err(Error::new(ErrorKind::NotImplemented, text))
}

fn find_template(template: &Template) -> Result<PathBuf> {
    let (found, wanted) = match template {
        Template::Named(name) => (Installation::discover().template(name), name.clone()),
        Template::Path(path) => (
            Some(path.clone()).filter(|p| p.is_file()),
            path.display().to_string(),
        ),
    };
    found.ok_or_else(|| {
        let text = format!(
            "there is no template {wanted}; name one of share/lxc/templates, or a program by its path"
        );
        Error::new(ErrorKind::Other, text)
    })
}

/// The file named, else the default configuration, else an isolated network: LXC's own default.
fn initial_config(named: Option<&Path>) -> Result<Config> {
    if let Some(file) = named {
        return Ok(Config::load(file)?);
    }
    let default = paths::default_config();
    if default.is_file() {
        return Ok(Config::load(&default)?);
    }
    let mut config = Config::new();
    config.set("lxc.net.0.type", "empty")?;
    Ok(config)
}
