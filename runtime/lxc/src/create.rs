//! Create.

use crate::configuration::{Lineage, read_own};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{self, Installation};
use lxc_config::Config;
use lxc_engine::directory::{self, Partial};
use std::path::{Path, PathBuf};

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
            if let Err(error) = directory::remove(&path, &[]) {
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
    /// than a directory, id maps. `BadConfig`, or what failed. What was made is removed again.
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
        // Whose a file in the rootfs is depends on it.
        let refused = config
            .not_carried_out()
            .into_iter()
            .find(|diagnostic| diagnostic.key.as_deref() == Some("lxc.idmap"));
        if let Some(diagnostic) = refused {
            return Err(diagnostic.into());
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
        let fresh = directory::make(&own).map_err(|error| {
            let remedy = "run this as a user who may write there, or choose another lxcpath";
            self.cannot("make its directory", &format!("{error}\n  {remedy}"))
        })?;
        let present = directory::read_config(&self.config_file)
            .map_err(|e| self.cannot("read its configuration", &e))?;
        let mut made = Made {
            directory: fresh.then(|| own.clone()),
            rootfs: None,
            config: present.map(|text| (self.config_file.clone(), text)),
        };
        let configured = self.config_item("lxc.rootfs.path")?;
        let wanted = configured.is_some() || options.dir.is_some();
        if template.is_none() && (!wanted || (self.is_defined() && self.has_rootfs())) {
            self.write_own()?;
            made.keep();
            return Ok(());
        }
        let partial = Partial::mark(&own).map_err(|e| self.cannot("mark its directory", &e))?;
        let rootfs = match (options.dir, configured) {
            (Some(dir), _) => dir.to_path_buf(),
            (None, Some(path)) => PathBuf::from(path),
            (None, None) => own.join("rootfs"),
        };
        if directory::make_rootfs(&rootfs).map_err(|e| self.cannot("make its rootfs", &e))? {
            made.rootfs = Some(rootfs.clone());
        }
        self.set_config_item("lxc.rootfs.path", &format!("dir:{}", rootfs.display()))?;
        // The mark keeps others away: the disk lock is for containers that are there.
        self.write_own()?;
        if let Some(program) = template {
            let quiet = options.quiet;
            directory::run_template(program, &own, &self.name, &rootfs, options.args, quiet)?;
            self.adopt_template(program, options.args)?;
        }
        drop(partial);
        made.keep();
        Ok(())
    }

    /// Reads what the template made of the configuration and says in it where it came from.
    fn adopt_template(&mut self, program: &Path, args: &[String]) -> Result<()> {
        let file = &self.config_file;
        let text = std::fs::read_to_string(file).map_err(|e| {
            let text = format!("the template left {} unreadable: {e}", file.display());
            Error::new(ErrorKind::BadConfig, text)
        })?;
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
