//! lxc-update-config: rewrites a configuration of LXC 2.x for today's LXC.

mod lines;

use std::fs::{self, File, Metadata};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::applet::Entry;
use crate::failure::Failure;
use crate::help::{self, Table, Words};
use crate::options::{self, Effect, Opt, Short, Text};
use crate::output;

/// The tool among the names of the program. It has none of the options that all others have.
pub const ENTRY: Entry = Entry {
    words: &WORDS,
    table,
    run,
};

const WORDS: Words = Words {
    program: "lxc-update-config",
    synopsis: "--config=FILE",
    about: "lxc-update-config gives the keys that LXC 2.x had in FILE the names they have now, in\n\
            lines with a # before them too. The file as it was stays beside it as FILE.backup.",
    notes: "A file in which there is nothing to change is left alone.",
};

#[derive(Default)]
struct Request {
    file: Option<PathBuf>,
}

const OPTIONS: &[Opt<Request>] = &[
    Opt {
        long: "config",
        short: Short::Listed('c'),
        effect: Effect::Value("FILE", |request, file| {
            request.file = Some(PathBuf::from(file));
            Ok(())
        }),
        help: "The configuration to rewrite",
    },
    Opt {
        long: "help",
        short: Short::Listed('h'),
        effect: Effect::Text(Text::Help),
        help: "Print this help",
    },
];

fn table() -> Table {
    Table {
        own: OPTIONS.iter().map(Opt::form).collect(),
        common: Vec::new(),
    }
}

fn run(words: Vec<String>) -> u8 {
    match obeyed(words) {
        Ok(()) => 0,
        Err(failure) => {
            output::complain(&format!("{}: {}", WORDS.program, failure.text));
            failure.code
        }
    }
}

fn obeyed(words: Vec<String>) -> Result<(), Failure> {
    if words.is_empty() {
        return output::print(&help::help(&WORDS, &table()));
    }
    let found = options::matched(&table().own, words, false);
    let mut request = Request::default();
    for given in found.given {
        let value = given.value.as_deref().unwrap_or_default();
        match OPTIONS[given.row].effect {
            Effect::Value(_, set) => set(&mut request, value).map_err(Failure::new)?,
            _ => return output::print(&help::help(&WORDS, &table())),
        }
    }
    let stray = found.rest.first();
    let stray = stray.map(|word| format!("the argument {word:?} is not understood"));
    if let Some(mistake) = found.mistake.or(stray) {
        return Err(Failure::new(format!("{mistake}; -h lists the options")));
    }
    match request.file {
        Some(file) => update(&file).map_err(Failure::new),
        None => Err(Failure::new("say which file: --config FILE")),
    }
}

/// Rewrites `file`, keeping a copy, its owner and its mode; a link stays one.
fn update(file: &Path) -> Result<(), String> {
    let about =
        |what: &'static str| move |error| format!("cannot {what} {}: {error}", file.display());
    let place = fs::canonicalize(file).map_err(about("find"))?;
    let old = fs::read_to_string(&place).map_err(about("read"))?;
    let new = lines::updated(&old);
    if new == old {
        return Ok(());
    }
    let like = fs::metadata(&place).map_err(about("look at"))?;
    let mut backup = place.clone().into_os_string();
    backup.push(".backup");
    replace(Path::new(&backup), &old, &like)?;
    replace(&place, &new, &like)
}

/// Writes `text` aside and renames it to `place`: whoever reads that sees the old or the new text.
fn replace(place: &Path, text: &str, like: &Metadata) -> Result<(), String> {
    let mut aside = place.to_path_buf().into_os_string();
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    let written = written(&aside, text, like).and_then(|()| fs::rename(&aside, place));
    written.map_err(|error| {
        // It may not be there; the first error is what counts.
        let _ = fs::remove_file(&aside);
        format!("cannot write {}: {error}", place.display())
    })
}

fn written(aside: &Path, text: &str, like: &Metadata) -> std::io::Result<()> {
    // Nobody may read more in the copy than in the file.
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)?;
    file.write_all(text.as_bytes())?;
    let owner = file.metadata()?;
    if (owner.uid(), owner.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    file.sync_all()
}
