//! `cargo xtask man`: manual pages, from the program that they describe.

use std::path::{Path, PathBuf};

use super::placing::put;
use super::said;
use crate::project::{Outcome, Project};

pub fn command(project: &Project, arguments: &[String]) -> Outcome {
    let place = match arguments {
        [] => project.target.join("man"),
        [directory] if !directory.starts_with('-') => PathBuf::from(directory),
        _ => return Err("takes the directory to write to, or nothing for target/man".into()),
    };
    project
        .cargo()
        .args(["build", "--package", "lxc-tools", "--bin", "lxc"])
        .env("CARGO_TARGET_DIR", &project.target)
        .quiet()
        .run()?;
    let count = write(&project.target.join("debug/lxc"), &place)?;
    println!("{count} pages in {}", project.shown(&place));
    Ok(())
}

/// Writes the pages of `lxc` below `place`, in man1 and so on; gives their number.
pub fn write(lxc: &Path, place: &Path) -> Outcome<usize> {
    let list = said(lxc, &["--man"])?;
    let names = page_names(&list).ok_or_else(|| {
        let lxc = lxc.display();
        format!("`{lxc} --man` should print one page a line, not {list:?}")
    })?;
    for name in &names {
        let text = said(lxc, &["--man", name])?;
        put(&place.join(name), text.as_bytes(), 0o644)?;
    }
    Ok(names.len())
}

/// The lines, each `manN/NAME.N`; None if a line is not, or there is none.
fn page_names(lines: &str) -> Option<Vec<&str>> {
    let names: Vec<&str> = lines.lines().collect();
    (!names.is_empty() && names.iter().all(|name| is_page(name))).then_some(names)
}

fn is_page(line: &str) -> bool {
    let parts = line
        .strip_prefix("man")
        .and_then(|rest| rest.split_once('/'));
    let Some((section, (name, suffix))) =
        parts.and_then(|(section, file)| Some((section, file.rsplit_once('.')?)))
    else {
        return false;
    };
    let plain = |c: char| c.is_ascii_lowercase() || "-.".contains(c);
    let usual = name.starts_with("lxc") && name.chars().all(plain);
    usual && suffix == section && section.parse::<u8>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_names_its_pages() {
        let good = "man1/lxc-ls.1\nman5/lxc.container.conf.5\n";
        assert_eq!(page_names(good).map(|names| names.len()), Some(2));
        for bad in [
            "",
            "man1/lxc-ls.5\n",
            "../lxc.1\n",
            "man1/../lxc.1\n",
            "man1/ls.1\n",
            "Usage\n",
        ] {
            assert_eq!(page_names(bad), None, "{bad:?}");
        }
    }
}
