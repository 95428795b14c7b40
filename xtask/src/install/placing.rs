//! Files put in their places: each appears whole, in one rename, or not at all.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::project::Outcome;

/// Paths of the files below `directory`, relative to it; none when it is not there.
pub fn files_below(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(here) = left.pop() {
        let entries = match fs::read_dir(directory.join(&here)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&directory.join(&here))(error).into()),
        };
        for entry in entries {
            let entry = entry?;
            let path = here.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                left.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Writes a text that people change: theirs is kept, and ours put beside it.
pub fn put_unless_changed(place: &Path, text: &str) -> Outcome {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    match fs::read(place) {
        Ok(present) if present != text.as_bytes() => {
            let new = format!("{name}.new");
            println!("kept {} as it is; the new one is {new}", place.display());
            put(&place.with_file_name(new), text.as_bytes(), 0o644)
        }
        _ => put(place, text.as_bytes(), 0o644),
    }
}

/// Writes a file aside and renames it into place.
pub fn put(place: &Path, content: &[u8], mode: u32) -> Outcome {
    let aside = aside(place)?;
    fs::write(&aside, content).map_err(at(&aside))?;
    fs::set_permissions(&aside, Permissions::from_mode(mode)).map_err(at(&aside))?;
    Ok(fs::rename(&aside, place).map_err(at(place))?)
}

/// Gives `file` a second name, replacing what has it.
pub fn link(file: &Path, name: &Path) -> Outcome {
    let aside = aside(name)?;
    fs::hard_link(file, &aside).map_err(at(&aside))?;
    fs::rename(&aside, name).map_err(at(name))?;
    // Of two names of one file rename(2) keeps both.
    match aside.exists() {
        true => Ok(fs::remove_file(&aside).map_err(at(&aside))?),
        false => Ok(()),
    }
}

/// Makes `name` a symbolic link to `target`, which is relative to it, replacing what has the name.
pub fn symlink(target: &str, name: &Path) -> Outcome {
    let aside = aside(name)?;
    std::os::unix::fs::symlink(target, &aside).map_err(at(&aside))?;
    Ok(fs::rename(&aside, name).map_err(at(name))?)
}

/// A free name beside `place`, in a directory that exists.
fn aside(place: &Path) -> Outcome<PathBuf> {
    let name = place.file_name().ok_or("a file must have a name")?;
    let directory = place.parent().ok_or("a file must be in a directory")?;
    fs::create_dir_all(directory).map_err(at(directory))?;
    let aside = directory.join(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(&aside)(error).into()),
        _ => Ok(aside),
    }
}

/// Adds the path to an error of the file system, which does not name it.
pub fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_and_its_other_names_are_replaced() {
        let sh = xshell::Shell::new().unwrap();
        let directory = sh.create_temp_dir().unwrap();
        let file = directory.path().join("bin/lxc");
        let (hard, soft) = (file.with_file_name("lxc-ls"), file.with_file_name("soft"));
        for content in ["old", "new", "new"] {
            put(&file, content.as_bytes(), 0o755).unwrap();
            link(&file, &hard).unwrap();
            symlink("lxc", &soft).unwrap();
            assert_eq!(fs::read_to_string(&hard).unwrap(), content);
            assert_eq!(fs::read_to_string(&soft).unwrap(), content);
            assert_eq!(fs::metadata(&hard).unwrap().nlink(), 2);
            // The same file once more: nothing may be left aside.
            link(&file, &hard).unwrap();
        }
        let found = files_below(&directory.path().join("bin")).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_changed_configuration_is_kept() {
        let sh = xshell::Shell::new().unwrap();
        let directory = sh.create_temp_dir().unwrap();
        let file = directory.path().join("default.conf");
        put_unless_changed(&file, "ours 1").unwrap();
        fs::write(&file, "theirs").unwrap();
        put_unless_changed(&file, "ours 2").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        let new = directory.path().join("default.conf.new");
        assert_eq!(fs::read_to_string(new).unwrap(), "ours 2");
    }
}
