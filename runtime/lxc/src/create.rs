//! Create.

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
}

/// What to take back when a creation fails.
struct Made {
    directory: Option<PathBuf>,
    rootfs: Option<PathBuf>,
}

impl Drop for Made {
    fn drop(&mut self) {
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
    /// # Errors
    /// `Exists`, `BadConfig`, or what failed; what was made is removed again.
    pub fn create(&mut self, options: &CreateOptions<'_>) -> Result<()> {
        if let Some(storage) = options.storage
            && storage != "dir"
        {
            let text = format!("storage of type {storage} is not implemented yet; use -B dir");
            return Err(Error::new(ErrorKind::NotImplemented, text));
        }
        let template = match &options.template {
            Some(template) => Some(find_template(template)?),
            None => None,
        };
        if self.is_defined() {
            let text = format!(
                "the container {} exists already; choose another name, or destroy it first",
                self.name
            );
            return Err(Error::new(ErrorKind::Exists, text));
        }
        if options.config.is_some() || self.config.is_none() {
            self.config = Some(initial_config(options.config)?);
        }
        self.make(options, template.as_deref())
            .inspect_err(|_| self.config = None)
    }

    fn make(&mut self, options: &CreateOptions<'_>, template: Option<&Path>) -> Result<()> {
        let own = self.directory();
        let fresh = directory::make(&own).map_err(|error| {
            let remedy = "run this as a user who may write there, or choose another lxcpath";
            self.cannot("make its directory", &format!("{error}\n  {remedy}"))
        })?;
        let mut made = Made {
            directory: fresh.then(|| own.clone()),
            rootfs: None,
        };
        let configured = self.config_item("lxc.rootfs.path")?;
        if template.is_none() && configured.is_none() && options.dir.is_none() {
            self.save_config()?;
            made.directory = None;
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
        self.save_config()?;
        if let Some(program) = template {
            let quiet = options.quiet;
            directory::run_template(program, &own, &self.name, &rootfs, options.args, quiet)?;
            self.adopt_template(program, options.args)?;
        }
        drop(partial);
        made.directory = None;
        made.rootfs = None;
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
        directory::write_config(file, &text)
            .map_err(|e| self.cannot("save its configuration", &e))?;
        self.config = Some(Config::load(&self.config_file)?);
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
